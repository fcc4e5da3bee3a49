# net.sh - what the scripts share that watch a pair of virtual interfaces in a
# network of their own. Sourced.
# shellcheck shell=sh

# Can there be one?
net_can() {
	unshare -n ip link add x0 type veth peer name x1 2>/dev/null
}

# What is sent to the one, $1, is seen on the other, $2; however long it is.
net_pair() {
	ip link add "$1" type veth peer name "$2"
	ip link set "$1" mtu 65535 up
	ip link set "$2" mtu 65535 up
}

# In it now: nobody but us sends anything there, and there are a0 and a1.
net_begin() {
	for setting in all default; do
		echo 1 >/proc/sys/net/ipv6/conf/$setting/disable_ipv6
	done 2>/dev/null
	ip link set lo up
	net_pair a0 a1
}

# Waits until $1 (a command) is true: twenty seconds.
wait_for() {
	tries=200
	until sh -c "$1" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return
		sleep 0.1
	done
}

# Waits until the run $1 has nothing to do but wait for packets.
net_is_watched() {
	sleep 1
	wait_for "grep -q 'State.*sleeping' /proc/$1/status"
}
