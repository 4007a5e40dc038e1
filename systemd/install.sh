#!/bin/sh
# Installs or upgrades Lockkeeper from the folder that this script lies in, for distributions without Debian packages.
# Run as root. Nothing that is running is stopped: a new supervisor takes over from the old one.
set -eu

fail() {
    echo "install.sh: $1" >&2
    exit 1
}

here=$(cd "$(dirname "$0")" && pwd)
root=$here/root
[ "$(id -u)" = 0 ] || fail "run this as root"
[ -x "$root/usr/lib/lockkeeper/node" ] || fail "there is nothing to install in $root; unpack the whole archive"
# Before anything is changed: a Node for another architecture or an older C library does not start.
(cd "$root/usr/lib/lockkeeper" && ./node --input-type=module -e "await import('@ngrok/ngrok'); await import('koffi')") \
    || fail "the programs cannot run on this machine ($(uname -m)); they need glibc 2.28 or newer, libstdc++ and libatomic"

# glibc's and busybox's tools have different options; these are common to both kinds.
if ! grep -q '^lockkeeper:' /etc/group; then
    groupadd --system lockkeeper 2>/dev/null || addgroup -S lockkeeper
fi
if ! grep -q '^lockkeeper:' /etc/passwd; then
    useradd --system --gid lockkeeper --home-dir /var/lib/lockkeeper --no-create-home --shell /usr/sbin/nologin lockkeeper \
        2>/dev/null || adduser -S -D -H -h /var/lib/lockkeeper -G lockkeeper lockkeeper
fi
mkdir -p /etc/lockkeeper/credentials /var/lib/lockkeeper
chmod 755 /etc/lockkeeper
chmod 700 /etc/lockkeeper/credentials /var/lib/lockkeeper
chown lockkeeper:lockkeeper /var/lib/lockkeeper

# Each file is replaced by a new one, never written over: the old programs run on until they hand over.
(cd "$root" && find . -type d) | while read -r dir; do
    mkdir -p "/$dir"
done
(cd "$root" && find . -type f) | while read -r file; do
    # What a person has changed stays.
    if [ "$file" = ./etc/default/lockkeeper ] && [ -e "/$file" ]; then continue; fi
    cp -p "$root/$file" "/$file.lockkeeper-new"
    chown 0:0 "/$file.lockkeeper-new"
    mv -f "/$file.lockkeeper-new" "/$file"
done

if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl --quiet enable lockkeeper.service
    if systemctl --quiet is-active lockkeeper.service; then
        systemctl reload lockkeeper.service
    elif [ -e /etc/lockkeeper/config.json ]; then
        systemctl start lockkeeper.service
    else
        echo "Write /etc/lockkeeper/config.json (an example: /usr/share/doc/lockkeeper/examples/config.json)," \
            "then: systemctl start lockkeeper"
    fi
fi
