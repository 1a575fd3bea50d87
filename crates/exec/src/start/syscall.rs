//! System calls for a child that shares its parent's memory while the parent runs: the C library's functions write `errno`,
//! which would be the parent's.

use std::arch::asm;

/// Makes a system call with up to five arguments. Returns what the kernel does: errors are negative numbers.
///
/// # Safety
/// That of the call.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn call(number: i64, arguments: [u64; 5]) -> i64 {
    let [first, second, third, fourth, fifth] = arguments;
    let result: i64;
    // SAFETY: only the named registers change; what memory the kernel reads or writes is the caller's business.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") first,
            in("rsi") second,
            in("rdx") third,
            in("r10") fourth,
            in("r8") fifth,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// As above.
#[cfg(target_arch = "aarch64")]
pub(super) unsafe fn call(number: i64, arguments: [u64; 5]) -> i64 {
    let [first, second, third, fourth, fifth] = arguments;
    let result: i64;
    // SAFETY: only the named registers change; what memory the kernel reads or writes is the caller's business.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") first => result,
            in("x1") second,
            in("x2") third,
            in("x3") fourth,
            in("x4") fifth,
            options(nostack),
        );
    }
    result
}
