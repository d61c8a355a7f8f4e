# SPDX-License-Identifier: GPL-2.0-or-later
"""A test in the kernel's place: it hands out sockets as requests, and takes the reports on them.

fake-tlshd (tlshd.c, upcall.c) is the daemon at the other end; kernel.h says what they say. Keys are of
type "user" in a keyring of the test's own, so nobody has to be root.
"""
import concurrent.futures, ctypes, os, queue, re, signal, socket, struct, subprocess, threading, time

CLIENT, SERVER = 1, 2
UNAUTH, PSK, X509 = 1, 2, 3
EAGAIN = 11
# Seconds for what must happen; a test that passes waits for none of them.
PATIENCE = 60
# How many cases run beside the others.
BESIDE = 2
# What the daemon has for a handshake, unless the test is about that.
GRANTED_MS = 20000

keyutils = ctypes.CDLL("libkeyutils.so.1", use_errno=True)
keyutils.keyctl_join_session_keyring(None)
SESSION = -3

def checked(serial):
    if serial < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return serial

class Keyring:
    """What .nvme is to the kernel, with its permissions."""
    def __init__(self):
        self.serial = checked(keyutils.add_key(b"keyring", b"fake.nvme", None, 0, SESSION))
        checked(keyutils.keyctl_setperm(self.serial, 0x3f3f0000))

    def add(self, identity, psk):
        key = checked(keyutils.add_key(b"user", identity.encode(), psk, len(psk), self.serial))
        checked(keyutils.keyctl_setperm(key, 0x3b010000)) # to be read by who possesses it
        return key

    def add_bytes(self, name, payload):
        """What a mount may name: root reads it without possession."""
        key = checked(keyutils.add_key(b"user", name.encode(), payload, len(payload), self.serial))
        checked(keyutils.keyctl_setperm(key, 0x3f3f0000))
        return key

    def revoke(self, key):
        checked(keyutils.keyctl_revoke(key))

    def remove(self, key):
        checked(keyutils.keyctl_unlink(key, self.serial))

class Request:
    """One handshake that the daemon is asked for; done when it has reported."""
    def __init__(self, sock, side, key=0, auth=PSK, timeout_ms=GRANTED_MS, unknown=0, peername="", certificate=0, private_key=0):
        self.unknown, self.peername, self.certificate, self.private_key = unknown, peername, certificate, private_key
        self.sock, self.side, self.key, self.auth, self.timeout_ms = sock, side, key, auth, timeout_ms
        self.status = self.remote = None
        self.began = time.monotonic()
        self.done = threading.Event()

    def outcome(self):
        """Waits for the report. Return: its status."""
        assert self.done.wait(PATIENCE), "the daemon does not report"
        return self.status

class Daemon:
    """fake-tlshd under this kernel. With links=True requests name no keyring, as before Linux 7."""
    def __init__(self, program, directory, keyring, config="", links=False, environment={}):
        self.keyring, self.links = keyring, links
        self.waiting, self.held = queue.Queue(), {}
        self.requests = queue.Queue() # of the target's port, in the order of their coming
        self.config, self.logfile = directory + "/tlshd.conf", directory + "/tlshd.log"
        self.ready, ready = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        first = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        second = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.configure(config)
        theirs = [ready, first[1], second[1]]
        names = ["FAKE_READY", "FAKE_COMMANDS", "FAKE_COMMANDS_2"]
        self.process = subprocess.Popen(
            [program, self.config], stdin=subprocess.DEVNULL, stderr=open(self.logfile, "w"),
            pass_fds=[s.fileno() for s in theirs],
            env=dict(os.environ, **environment, **{n: str(s.fileno()) for n, s in zip(names, theirs)}))
        for s in theirs:
            s.close()
        for s in (first[0], second[0]):
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = self.listener.getsockname()[1]
        self.listening = threading.Thread(target=self.listen, daemon=True)
        self.listening.start()
        self.wait_for_line("ready, with")

    def wait_for_workers(self, n):
        """Until so many are born and wait for work: "ready" is said when the first is."""
        def resting():
            try:
                stats = [open("/proc/%d/stat" % child).read() for child in self.workers()]
            except OSError: # one has ended
                return False
            born = [stat for stat in stats if "(tlshd-worker) S" in stat or "(tlshd-signer) S" in stat]
            return len(born) == len(stats) and sum("(tlshd-worker)" in stat for stat in born) == n
        self.wait(resting, "there are no %d workers" % n)

    # --- the kernel's side

    def listen(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                assert self.closing, "the target's port is lost"
                return
            self.requests.put(self.ask(Request(sock, SERVER, auth=self.auth, timeout_ms=self.timeout_ms)))

    auth, timeout_ms = PSK, GRANTED_MS
    closing = False

    def connect(self, port, key=0, **how):
        """A host's connection. Return: its request."""
        return self.ask(Request(socket.create_connection(("127.0.0.1", port)), CLIENT, key, **how))

    def ask(self, request):
        self.waiting.put(request)
        try:
            self.ready.send(b"!", socket.MSG_DONTWAIT)
        except OSError: # as many READYs as anybody needs; or nobody listens any more
            pass
        return request

    def serve(self, commands):
        while True:
            try:
                bytes_, fds, _, _ = socket.recv_fds(commands, 64, 1)
            except OSError:
                return
            if not bytes_:
                return
            command, status, remote = struct.unpack("=iii", bytes_)
            if command == 2:
                self.answer_accept(commands)
            else:
                self.answer_done(commands, fds[0], status, remote)

    def answer(self, commands, error, request=None):
        keyring = self.keyring.serial if request else 0
        answer = struct.pack("=iiiIiiiIii256s", -error, request.side if request else 0, request.auth if request else 0,
                             request.timeout_ms if request else 0, request.key if request else 0, keyring,
                             not self.links, request.unknown if request else 0,
                             request.certificate if request else 0, request.private_key if request else 0,
                             request.peername.encode() if request else b"")
        try:
            socket.send_fds(commands, [answer], [request.sock.fileno()] if request else [])
        except OSError: # it is gone
            pass

    def answer_accept(self, commands):
        try:
            request = self.waiting.get_nowait()
        except queue.Empty:
            self.answer(commands, EAGAIN)
            return
        self.held[os.fstat(request.sock.fileno()).st_ino] = request
        self.answer(commands, 0, request)

    def answer_done(self, commands, fd, status, remote):
        request = self.held.pop(os.fstat(fd).st_ino, None)
        os.close(fd)
        if request:
            request.status, request.remote, request.took = status, remote, time.monotonic() - request.began
            self.finished(request)
        self.answer(commands, 0 if request else 16)
        if request:
            request.done.set()

    def finished(self, request):
        """The consumer gets its socket back: ours closes it."""
        request.sock.close()

    # --- the daemon's

    def configure(self, text):
        with open(self.config, "w") as file:
            file.write(text)

    def log(self):
        return open(self.logfile, errors="replace").read()

    def tail(self):
        """What to show of it when something is wrong."""
        return "\n".join(self.log().splitlines()[-30:])

    def lines(self, pattern):
        return [line for line in self.log().splitlines() if re.search(pattern, line)]

    def wait(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, "%s; the log ends:\n%s" % (what, self.tail())
            assert self.process.poll() is None or "end" in what, "the daemon has ended; the log ends:\n" + self.tail()
            time.sleep(0.01)

    def wait_for_line(self, pattern, count=1):
        self.wait(lambda: len(self.lines(pattern)) >= count, "no line matches '%s'" % pattern)

    mark = 0 # lines of the log before the case

    def marked(self, case):
        """The log that counts is that of the case."""
        def run():
            self.mark = len(self.log().splitlines())
            case()
        run.__name__ = case.__name__
        return run

    def logged(self, text, count=1):
        """Lines come when they come: a failure's may be held back to be summed up."""
        self.wait(lambda: sum(text in line for line in self.log().splitlines()[self.mark:]) >= count, "no %d lines have '%s'" % (count, text))

    def same(self, what, expected, got):
        assert expected == got, "%s: expected %r, got %r; the log ends:\n%s" % (what, expected, got, self.tail())

    def workers(self):
        out = subprocess.run(["pgrep", "-P", str(self.process.pid)], stdout=subprocess.PIPE, text=True).stdout
        return [int(pid) for pid in out.split() if alive(int(pid))]

    def children(self, name):
        """Those of a name."""
        found = []
        for process in self.workers():
            try:
                found += [process] if open("/proc/%d/comm" % process).read() == name + "\n" else []
            except OSError: # it has ended
                pass
        return found

    def next_request(self):
        return self.requests.get(timeout=PATIENCE)

    def signal(self, number):
        self.signalled = time.monotonic()
        self.process.send_signal(number)

    def stopped_for(self):
        return time.monotonic() - self.signalled

    def stop(self):
        """Return: its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        self.close()
        return code

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if not self.closing:
            # Closed under its thread, the descriptor would be the next daemon's, and the thread take what is for that.
            self.closing = True
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listening.join()
        self.listener.close()
        self.ready.close()

def alive(pid):
    try:
        return open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False

def run_cases(cases, beside=()):
    """Runs functions as TAP; what they promise is their name. Return: an exit code.

    Those @beside have daemons of their own and mostly wait: a few at a time, they run beside the others.
    """
    bad = 0
    print("1..%d" % (len(cases) + len(beside)), flush=True)
    with concurrent.futures.ThreadPoolExecutor(BESIDE) as pool:
        running = {case: pool.submit(case) for case in beside}
        for n, case in enumerate([*cases, *beside], 1):
            try:
                running[case].result() if case in running else case()
                print("ok %d %s" % (n, case.__name__), flush=True)
            except Exception as e: # whatever it is, this case has failed
                bad += 1
                print("not ok %d %s" % (n, case.__name__), flush=True)
                for line in ("%s: %s" % (type(e).__name__, e)).splitlines():
                    print("# " + line, flush=True)
    return 1 if bad else 0
