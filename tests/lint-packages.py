# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads what meson installs: every file is in one package, of the same name for Debian and RPM; the versions agree."""
import fnmatch
import glob
import json
import os
import re
import sys

MACROS = {
    '_sysconfdir': '/etc', '_sbindir': '/usr/sbin', '_bindir': '/usr/bin', '_libexecdir': '/usr/libexec',
    '_datadir': '/usr/share', '_mandir': '/usr/share/man', '_unitdir': '/usr/lib/systemd/system',
    '_udevrulesdir': '/usr/lib/udev/rules.d', '_sysusersdir': '/usr/lib/sysusers.d',
    '_tmpfilesdir': '/usr/lib/tmpfiles.d', '_prefix': '/usr',
}


def installed():
    """Where the files go with --prefix=/usr, whatever the build is configured for."""
    for path in json.load(sys.stdin).values():
        path = re.sub('^/usr/local/etc/', '/etc/', path)
        path = re.sub('^/usr/local/', '/usr/', path)
        yield re.sub('^/lib/', '/usr/lib/', path)


def debian():
    for name in glob.glob('packaging/debian/*.install'):
        with open(name, encoding='utf-8') as lines:
            for line in lines:
                if line.split():
                    yield os.path.basename(name).removesuffix('.install'), '/' + line.split()[0]


def rpm():
    package = None
    with open('packaging/rpm/tlshd.spec', encoding='utf-8') as lines:
        for line in lines:
            line = line.strip()
            if line.startswith('%files'):
                package = line.split()[-1] if '-n' in line else 'tlshd'
            elif line.startswith('%changelog'):
                package = None
            elif package and line and not re.match('%(dir|license|doc) ', line):
                path = re.sub(r'^%config\(noreplace\) ', '', line)
                yield package, re.sub(r'%\{(\w+)\}', lambda m: MACROS[m[1]], path)


def matches(file, pattern):
    """As in a shell: no * stands for a /."""
    return file.count('/') == pattern.count('/') and fnmatch.fnmatchcase(file, pattern)


def first(path, pattern):
    with open(path, encoding='utf-8') as file:
        return re.search(pattern, file.read(), re.M)[1]


def check():
    files = sorted(installed())
    owners = {}
    for kind, patterns in ('Debian', list(debian())), ('RPM', list(rpm())):
        for file in files:
            packages = {package for package, pattern in patterns if matches(file, pattern)}
            if len(packages) != 1:
                yield f'{file} is in {" and ".join(sorted(packages)) or "no package"} ({kind}): see packaging/'
            elif owners.setdefault(file, packages) != packages:
                yield f'{file} is in {owners[file].pop()} for Debian and in {packages.pop()} for RPM'
        for package, pattern in patterns:
            if not any(matches(file, pattern) for file in files):
                yield f'{kind} package {package}: meson installs nothing that matches {pattern}'
    version = first('meson.build', r"^ *version: '(.*?)'")
    for path, pattern in (('packaging/debian/changelog', r'\((.*)-'), ('packaging/rpm/tlshd.spec', r'^Version: +(.*)'),
                          ('NEWS', r'^(\d[^ ,]*)')):
        other = first(path, pattern).replace('~', '-')
        if other != version:
            yield f'{path} has the version {other}, meson.build {version}'


faults = list(check())
print(*faults, sep='\n')
sys.exit(bool(faults))
