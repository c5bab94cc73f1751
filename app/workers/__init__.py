"""Child processes: how they are started, talked to, restricted and replaced.

Parent side (app.workers.host, app.workers.supervisor):

    child = spawn(Role.INGEST, sandbox=SandboxSpec(memory_bytes=READER_MEMORY_BYTES), on_exit=None)
    child.protection                              what was seen to hold: landlock, seccomp, rlimits, detail
    for start in range(0, len(content), UPLOAD_PIECE_BYTES):
        child.push("piece", {}, content[start : start + UPLOAD_PIECE_BYTES])
    reply = child.call("count", {"what": "pages"}, timeout_s=10.0)         Reply(value, body)
    count = checked(reply.value, CountAnswer)      strict msgspec shape, or JingyanError(CHILD_LIED)
    for frame in child.stream("read", {}, silence_timeout_s=30.0, cancel=token):
        frame.event, frame.value, frame.body      the last one is event "done" with the answer
    child.close()                                 ask, wait, kill; no thread is left

Child side (app.workers.child), one module per role with `def main() -> int: return serve(HANDLERS, threads=1)`:

    def read(call: Call) -> HandlerResult:        runs in a worker thread (threads=1: the main thread)
        for page in pages:
            if call.cancelled:                    or call.token.on_cancel(...), raise_if_cancelled()
                raise JingyanError(ErrorCode.CANCELLED)
            call.emit("page", page_struct, optional_bytes)      waits while the parent is behind
        return {"pages": 12}                      or (value, body) or None

Values to send: anything msgspec writes as JSON (dict, list, frozen dataclass, Struct, enum; not Path). Pushes are
handled in the reader thread, in order, before any later call: keep them quick, never raise in them.
Import a role's native libraries at the top of its module: the sandbox closes inside `serve`, after those imports,
and Landlock needs the process to have a single thread then (do not start threads at import).
Errors: raise JingyanError(code, fact=...) in a handler, the caller gets the same. Anything else is a bug: traceback on
stderr, the caller gets the role's code of death (ENGINE_DIED, READER_DIED) and the child lives on.
A child that hangs, dies or breaks the protocol: ENGINE_/READER_TIMED_OUT, ENGINE_/READER_DIED, CHILD_LIED.
"""
