#!/bin/sh
# ldirectord calls it with the VIP and its port, then the real server and its port.
echo well | nc -N -w 2 "$3" "$4" | grep -q fine
