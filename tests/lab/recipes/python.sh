#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Python on a node remembers what it has compiled. Ansible sends its modules and all they import as source, for every
# task anew, and under emulation compiling it takes most of a task's time. Without the folder (the benchmarks remove it)
# Python is as Debian made it. mmdebstrap calls it with the root directory.
set -eu
root=$1

mkdir -p "$root/opt/lab-compiled"
cat >"$root/usr/lib/python3/dist-packages/lab_compiled.py" <<'CONF'
import builtins
import marshal
import os
from _blake2 import blake2b

FOLDER = "/opt/lab-compiled/"
compiled = builtins.compile


def remembered(source, filename, mode, flags=0, dont_inherit=False, optimize=-1, **others):
    """compile(), but for what is long and was compiled before."""
    plain = mode == "exec" and dont_inherit and not flags and optimize == -1 and not others
    if not plain or not isinstance(source, (str, bytes)) or len(source) < 1000 or not isinstance(filename, str):
        return compiled(source, filename, mode, flags, dont_inherit, optimize, **others)
    text = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source
    kind = b"s" if isinstance(source, str) else b"b"
    name = blake2b(filename.encode("utf-8", "surrogatepass") + b"\0" + kind + text, digest_size=16).hexdigest()
    try:
        with open(FOLDER + name, "rb") as stream:
            return marshal.loads(stream.read())
    except (OSError, ValueError, EOFError, TypeError):
        pass
    code = compiled(source, filename, mode, flags, True)
    try:
        new = "%s%s.%d" % (FOLDER, name, os.getpid())
        with open(new, "wb") as stream:
            stream.write(marshal.dumps(code))
        os.rename(new, FOLDER + name)
    except OSError:
        pass  # only root may write there
    return code


if os.path.isdir(FOLDER):
    builtins.compile = remembered
CONF
echo 'import lab_compiled' >"$root/usr/lib/python3/dist-packages/lab-compiled.pth"
chroot "$root" python3 -m py_compile /usr/lib/python3/dist-packages/lab_compiled.py
