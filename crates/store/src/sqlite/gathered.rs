//! A commit's log in one write. SQLite writes its log a page at a time, and each in two pieces: for a commit of six pages that
//! took a sixth as long as the sync after it, and for one of three hundred longer than the sync.
//!
//! This is a VFS for the writer's connection, the system's own but for the log: what follows on what was written before it
//! waits in memory, until the log is synced or asked for anything else. Must only be used with `synchronous=FULL`: whoever
//! else reads the log learns of a commit after its sync. Must never answer a sync before everything is written, and never
//! keep what could not be written: the caller was told that it was, so the next call says that it wasn't.

use rusqlite::ffi;
use std::ffi::{CStr, c_int, c_void};
use std::sync::OnceLock;

/// Its name for SQLite.
pub(super) const NAME: &CStr = c"baton";
/// What waits at most: some thirty pages. Larger pieces gain little, and come from memory rather than from the processor's cache.
const BYTES: usize = 128 * 1024;

/// Makes it known to SQLite.
///
/// # Errors
/// SQLite's code.
pub(super) fn register() -> rusqlite::Result<()> {
    static DONE: OnceLock<c_int> = OnceLock::new();
    let code = *DONE.get_or_init(|| {
        // SAFETY: the system's VFS lives as long as the process, and so does the copy.
        unsafe {
            let system = ffi::sqlite3_vfs_find(std::ptr::null());
            if system.is_null() {
                return ffi::SQLITE_NOTFOUND;
            }
            let room = size_of::<Log>() as c_int + (*system).szOsFile;
            let vfs = ffi::sqlite3_vfs { zName: NAME.as_ptr(), szOsFile: room, xOpen: Some(open), ..*system };
            ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 0)
        }
    });
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)) }
}

/// An open log as SQLite holds it. The system's own file follows it in the same memory.
#[repr(C)]
struct Log {
    file: ffi::sqlite3_file,
    /// Of a `Box`, from `open` to `close`.
    waiting: *mut Waiting,
}

/// What isn't written yet.
#[derive(Default)]
struct Waiting {
    /// Where it belongs.
    at: i64,
    bytes: Vec<u8>,
}

impl Waiting {
    /// Takes a piece that follows on what waits, unless that becomes too much.
    fn take(&mut self, piece: &[u8], at: i64) -> bool {
        let length = self.bytes.len();
        if length == 0 {
            self.at = at;
        }
        let follows = i64::try_from(length).is_ok_and(|length| self.at.checked_add(length) == Some(at));
        let fits = length + piece.len() <= BYTES;
        if follows && fits {
            self.bytes.extend_from_slice(piece);
        }
        follows && fits
    }
}

const METHODS: &ffi::sqlite3_io_methods = &ffi::sqlite3_io_methods {
    // Without the shared memory and mapped pages of later versions: those are the database's, not the log's.
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(is_reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector),
    xDeviceCharacteristics: Some(device),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

/// As SQLite says: `file` has room for as many bytes as the VFS asked for.
unsafe extern "C" fn open(
    _vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    opened: *mut c_int,
) -> c_int {
    // SAFETY: the caller's arguments are passed on as they are, but for the log's place in the room, which is large enough for
    // both. The system's VFS was there when this one was made, and is asked for as itself: it keeps notes of its own in it.
    unsafe {
        let system = ffi::sqlite3_vfs_find(std::ptr::null());
        let Some(system_open) = system.as_ref().and_then(|vfs| vfs.xOpen) else { return ffi::SQLITE_CANTOPEN };
        if flags & ffi::SQLITE_OPEN_WAL == 0 {
            return system_open(system, name, file, flags, opened);
        }
        // SQLite closes only what has methods.
        (*file).pMethods = std::ptr::null();
        let code = system_open(system, name, own(file), flags, opened);
        if code == ffi::SQLITE_OK {
            (*file.cast::<Log>()).waiting = Box::into_raw(Box::default());
            (*file).pMethods = METHODS;
        }
        code
    }
}

/// The system's own file of an open log.
fn own(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: it lies in the same memory ([`Log`]).
    unsafe { file.cast::<Log>().add(1).cast() }
}

/// Asks the system's own file; `None`: it can't do that.
unsafe fn ask(
    file: *mut ffi::sqlite3_file,
    what: impl FnOnce(&ffi::sqlite3_io_methods, *mut ffi::sqlite3_file) -> Option<c_int>,
) -> c_int {
    let own = own(file);
    // SAFETY: SQLite calls only with files that are open; the system's own is then open as well, and has methods.
    let methods = unsafe { (*own).pMethods.as_ref() };
    methods.and_then(|methods| what(methods, own)).unwrap_or(ffi::SQLITE_IOERR)
}

/// Writes what waits, then asks.
unsafe fn after_writing(
    file: *mut ffi::sqlite3_file,
    what: impl FnOnce(&ffi::sqlite3_io_methods, *mut ffi::sqlite3_file) -> Option<c_int>,
) -> c_int {
    // SAFETY: as in `ask`. SQLite uses a file from one thread at a time, so nobody else has what waits.
    unsafe {
        let waiting = &mut *(*file.cast::<Log>()).waiting;
        if !waiting.bytes.is_empty() {
            let code = put(file, &waiting.bytes, waiting.at);
            waiting.bytes.clear();
            if code != ffi::SQLITE_OK {
                return code;
            }
        }
        ask(file, what)
    }
}

/// Writes a piece now.
unsafe fn put(file: *mut ffi::sqlite3_file, piece: &[u8], at: i64) -> c_int {
    let Ok(length) = c_int::try_from(piece.len()) else { return ffi::SQLITE_IOERR_WRITE };
    // SAFETY: as in `ask`; the piece is as long as is said.
    unsafe { ask(file, |methods, own| Some(methods.xWrite?(own, piece.as_ptr().cast(), length, at))) }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, piece: *const c_void, length: c_int, at: i64) -> c_int {
    // SAFETY: the piece is as long as SQLite says; otherwise as in `after_writing`, whose borrow of what waits has ended.
    unsafe {
        let length = usize::try_from(length).unwrap_or_default();
        let piece = std::slice::from_raw_parts(piece.cast::<u8>(), length);
        let log = file.cast::<Log>();
        if (*(*log).waiting).take(piece, at) {
            return ffi::SQLITE_OK;
        }
        after_writing(file, |_, _| {
            if (*(*log).waiting).take(piece, at) { Some(ffi::SQLITE_OK) } else { Some(put(file, piece, at)) }
        })
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: as in `after_writing`; the box is of `open`, and SQLite doesn't use a file that it has closed.
    unsafe {
        // Whether that could be written is asked by a sync, if at all: nobody was told of a commit.
        after_writing(file, |_, _| Some(ffi::SQLITE_OK));
        drop(Box::from_raw((*file.cast::<Log>()).waiting));
        ask(file, |methods, own| Some(methods.xClose?(own)))
    }
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, to: *mut c_void, length: c_int, at: i64) -> c_int {
    // SAFETY: as in `after_writing`; so are all that follow.
    unsafe { after_writing(file, |methods, own| Some(methods.xRead?(own, to, length, at))) }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    // SAFETY: see `read`.
    unsafe { after_writing(file, |methods, own| Some(methods.xTruncate?(own, size))) }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: see `read`.
    unsafe { after_writing(file, |methods, own| Some(methods.xSync?(own, flags))) }
}

unsafe extern "C" fn size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    // SAFETY: see `read`.
    unsafe { after_writing(file, |methods, own| Some(methods.xFileSize?(own, size))) }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see `read`.
    unsafe { ask(file, |methods, own| Some(methods.xLock?(own, level))) }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see `read`.
    unsafe { ask(file, |methods, own| Some(methods.xUnlock?(own, level))) }
}

unsafe extern "C" fn is_reserved(file: *mut ffi::sqlite3_file, is: *mut c_int) -> c_int {
    // SAFETY: see `read`.
    unsafe { ask(file, |methods, own| Some(methods.xCheckReservedLock?(own, is))) }
}

unsafe extern "C" fn control(file: *mut ffi::sqlite3_file, what: c_int, with: *mut c_void) -> c_int {
    // SAFETY: see `read`.
    unsafe { after_writing(file, |methods, own| Some(methods.xFileControl?(own, what, with))) }
}

unsafe extern "C" fn sector(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: see `read`.
    unsafe { ask(file, |methods, own| Some(methods.xSectorSize?(own))) }
}

unsafe extern "C" fn device(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: see `read`.
    unsafe { ask(file, |methods, own| Some(methods.xDeviceCharacteristics?(own))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_wait_as_long_as_each_follows_on_the_one_before_and_there_is_room() {
        let mut waiting = Waiting::default();
        assert!(waiting.take(&[1; 24], 32));
        assert!(waiting.take(&[2; 4_096], 56));
        assert!(!waiting.take(&[3; 8], 32), "written over");
        assert!(!waiting.take(&[3; 8], 4_153), "a gap");
        assert_eq!((waiting.at, waiting.bytes.len()), (32, 4_120));
        assert!(!waiting.take(&vec![4; BYTES - 4_119], 4_152), "a byte too much");
        assert!(waiting.take(&vec![4; BYTES - 4_120], 4_152));
        waiting.bytes.clear();
        assert!(!waiting.take(&vec![5; BYTES + 1], 0));
        assert!(waiting.take(&[6], 7));
        assert_eq!((waiting.at, waiting.bytes.as_slice()), (7, [6].as_slice()));
    }
}
