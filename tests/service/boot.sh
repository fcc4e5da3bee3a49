#!/bin/sh
# boot.sh DIR PACKAGE - the Debian package in a fresh Debian 12 that boots, with
# its service manager (inside.sh): by hand, as root, with debootstrap,
# qemu-system-x86_64 and a Debian mirror. DIR keeps the system for the next time.
#
# Nothing on the machine changes but DIR.
set -eu
srcdir=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=${BUILD:-$srcdir}
dir=$1 package=$2
root=$dir/root
accel=${ACCEL:--accel tcg,thread=multi -cpu max}	# a machine in a machine may
						# have a broken KVM

mkdir -p "$dir"
[ -d "$root" ] || debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,\
udev,iproute2,procps,kmod,python3,curl,openssl,initramfs-tools,adduser bookworm \
    "$root"
ls "$root"/boot/vmlinuz* >/dev/null 2>&1 ||
    chroot "$root" apt-get -y --no-install-recommends install linux-image-cloud-amd64

# What the package needs, but not the package.
cp "$package" "$root/root/old.deb"
needs=$(dpkg-deb -f "$package" Depends | sed 's/([^)]*)//g; s/,//g')
# shellcheck disable=SC2086 # words
chroot "$root" apt-get -y --no-install-recommends install $needs

# The same as a later version.
rm -rf "$dir/new"
dpkg-deb -R "$package" "$dir/new"
sed -i 's/^Version: .*/&+next/' "$dir/new/DEBIAN/control"
dpkg-deb -b "$dir/new" "$root/root/new.deb"

cp "$srcdir/tests/service/inside.sh" "$srcdir/tests/live/collect.py" \
    "$BUILD/tests/live/send" "$root/root/"
echo '127.0.0.1 localhost' >"$root/etc/hosts"
cp "$srcdir/pcaps/lost-state.pcap" "$root/root/sample.pcap"
cat >"$root/etc/systemd/system/inside.service" <<'END'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh /root/inside.sh /root/old.deb /root/new.deb
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
ExecStopPost=/bin/systemctl --no-block poweroff
[Install]
WantedBy=graphical.target
END
ln -sf ../inside.service "$root/etc/systemd/system/graphical.target.wants/" 2>/dev/null || {
	mkdir -p "$root/etc/systemd/system/graphical.target.wants"
	ln -sf ../inside.service "$root/etc/systemd/system/graphical.target.wants/"
}
rm -f "$dir/disk"
mke2fs -q -t ext4 -d "$root" "$dir/disk" 3G
# shellcheck disable=SC2086 # words
timeout "${LIMIT:-900}" qemu-system-x86_64 $accel -m 1500 -smp 2 -nographic -no-reboot \
    -nic none -drive "file=$dir/disk,format=raw,if=virtio" \
    -kernel "$(ls "$root"/boot/vmlinuz* | tail -n 1)" \
    -initrd "$(ls "$root"/boot/initrd* | tail -n 1)" \
    -append 'root=/dev/vda rw console=ttyS0 quiet' |
    tr -d '\r' >"$dir/console"
grep -E '^(ok|not ok|#|1\.\.)' "$dir/console"
grep -q '^1\.\.' "$dir/console" && ! grep -q '^not ok' "$dir/console"
