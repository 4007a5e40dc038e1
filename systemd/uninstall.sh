#!/bin/sh
# Removes what install.sh has installed. `--purge` removes configuration, state and user as well.
set -eu

[ "$(id -u)" = 0 ] || {
    echo "uninstall.sh: run this as root" >&2
    exit 1
}
if [ -d /run/systemd/system ]; then
    systemctl --quiet disable --now lockkeeper.service || true
fi
rm -rf /usr/lib/lockkeeper /usr/share/doc/lockkeeper /run/lockkeeper
rm -f /usr/bin/lockkeeper /usr/bin/lockkeeperd /usr/lib/systemd/system/lockkeeper.service
if [ "${1:-}" = --purge ]; then
    rm -rf /var/lib/lockkeeper /etc/lockkeeper /etc/default/lockkeeper
    userdel lockkeeper 2>/dev/null || deluser lockkeeper 2>/dev/null || true
    groupdel lockkeeper 2>/dev/null || delgroup lockkeeper 2>/dev/null || true
fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
