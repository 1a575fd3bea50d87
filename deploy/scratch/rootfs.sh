#!/usr/bin/env bash
# Puts together the files of an image: the program, the libraries that it is linked with, a shell and the tools that its
# tasks need. `rootfs.sh PROGRAM DIRECTORY [TOOL…]`; DIRECTORY must not exist.
set -euo pipefail
program=$1 root=$2
shift 2
tools=("$@")
[ ${#tools[@]} -gt 0 ] || tools=(cat env false ls printf sleep true)

mkdir "$root"
mkdir -p "$root"/{bin,data,dev,etc,proc,sys,tmp,usr/bin}
chmod 1777 "$root/tmp"

# A file and what the loader loads with it, at the same paths.
add() {
  install -D -m 755 "$1" "$root$2"
  ldd "$1" 2>/dev/null | grep -o '/[^ ]*' | while read -r library; do
    [ -e "$root$library" ] || install -D -m 755 "$library" "$root$library"
  done
}
add "$program" /usr/bin/baton
add "$(readlink -f "$(command -v sh)")" /bin/sh
for tool in "${tools[@]}"; do
  add "$(readlink -f "$(type -P "$tool")")" "/usr/bin/$tool"
done
# Names of other services are looked up by these two.
for library in /lib/*/libnss_dns.so.2 /lib/*/libnss_files.so.2; do
  [ ! -e "$library" ] || install -D -m 755 "$library" "$root$library"
done
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
echo 'baton:x:10001:10001::/data:/bin/sh' >"$root/etc/passwd"
echo 'baton:x:10001:' >"$root/etc/group"
# In an image made by COPY everything is root's, whoever owned it here: so the directory is anybody's, as /tmp is.
chmod 1777 "$root/data"
