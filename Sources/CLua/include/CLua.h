/* CLua is Lua 5.4 as Swift may use it: a state with a pool of coroutines, and functions of the host's by number.
 *
 * An error of Lua's leaves by longjmp, and a Swift frame that is jumped over never releases what it holds. So every
 * call that may raise, and that is every call that may allocate, stands here, within a protected call; the host is
 * called back as plain data and answers as plain data, and its frame is gone before anything is pushed or raised.
 *
 *     clua_start ──▶ coroutine ──▶ script ──KSR.x.y()──▶ call_host ──▶ host: takes values, puts results, answers
 *          ▲                                                 │           done, raise, exit or wait
 *          └── ended, exited, failed, waiting, absent ◀──────┘
 *
 * A run ends in the middle (`exit`) and waits by yielding, so no pcall of the script's can take either for an error;
 * where Lua cannot yield (a comparison within table.sort) an exit is an error that pcall and xpcall pass on.
 *
 * Limits: instructions of a run (a count hook), memory of a run and of the state (the allocator), values a call takes.
 * A run that passed its limit of instructions is over: whatever catches that error is given it again. */
#ifndef UNDERSTUDY_CLUA_H
#define UNDERSTUDY_CLUA_H

#include <stddef.h>
#include <stdint.h>

typedef struct clua clua;
typedef struct clua_run clua_run;

enum {
    CLUA_NIL = 0,
    CLUA_BOOLEAN = 1, /* integer: 0 or 1 */
    CLUA_INTEGER = 2,
    CLUA_NUMBER = 3,
    CLUA_TEXT = 4,
    CLUA_OTHER = 5, /* a table or function, as an argument only */
    CLUA_TABLE = 6, /* as a result only: what follows are keys and values, up to CLUA_END */
    CLUA_END = 7
};

/* What a call of the host's function answers. */
enum { CLUA_DONE = 0, CLUA_RAISE = 1, CLUA_EXIT = 2, CLUA_WAIT = 3 };

/* What became of a run. */
enum { CLUA_ENDED = 0, CLUA_EXITED = 1, CLUA_WAITING = 2, CLUA_FAILED = 3, CLUA_ABSENT = 4 };

/* Why a run failed. */
enum { CLUA_ERROR = 0, CLUA_STEPS = 1, CLUA_MEMORY = 2 };

typedef struct {
    int32_t kind;
    int64_t integer;
    double number;
    const uint8_t *_Nullable text;
    size_t count;
} clua_value;

/* What time and chance are: the host's. */
enum { CLUA_UNIX_SECONDS = 0, CLUA_NANOSECONDS = 1, CLUA_RANDOM = 2 };

typedef struct {
    void *_Nullable context;
    /* Calls the function of this number. Arguments are lent for the call; results are put with `clua_put`. It must not
     * call into the same state in any other way. */
    int32_t (*_Nonnull call)(void *_Nullable context, clua_run *_Nonnull run, int32_t function,
                             const clua_value *_Nonnull arguments, int32_t count);
    int64_t (*_Nonnull ask)(void *_Nullable context, int32_t what);
    /* Finds the text of a module that a script requires, and puts it and the name of its file; 0 when there is none. */
    int32_t (*_Nonnull module)(void *_Nullable context, const uint8_t *_Nonnull name, size_t count);
} clua_host;

typedef struct {
    int64_t steps;       /* instructions of a run */
    size_t run_memory;   /* bytes that a run may add */
    size_t state_memory; /* bytes of everything */
    int32_t replayable;  /* `pairs` in order of keys, times in UTC */
} clua_limits;

/* NULL when there is no memory for it. */
clua *_Nullable clua_open(clua_host host, clua_limits limits);
void clua_close(clua *_Nonnull state);

/* Makes `KSR.` and this name (`info`, `hdr.append`) call the host's function of that number; 0 when memory ran out. */
int32_t clua_define(clua *_Nonnull state, const char *_Nonnull name, int32_t function);

/* Compiles a text, and runs it unless `compiles_only`. Its name is what errors are told with. */
int32_t clua_load(clua *_Nonnull state, const uint8_t *_Nonnull text, size_t count, const char *_Nonnull name,
                  int32_t compiles_only);

/* Calls a global function in a coroutine of its own, with one text unless that is NULL. When the answer is WAITING,
 * `*run` goes on with clua_resume or is given up with clua_drop. */
int32_t clua_start(clua *_Nonnull state, const uint8_t *_Nonnull name, size_t count, const uint8_t *_Nullable argument,
                   size_t argument_count, clua_run *_Nullable *_Nonnull run);
/* Goes on with what was put as the results of the call that waits. */
int32_t clua_resume(clua *_Nonnull state, clua_run *_Nonnull run);
void clua_drop(clua *_Nonnull state, clua_run *_Nonnull run);

/* Whether there is a global function of this name. */
int32_t clua_has(clua *_Nonnull state, const uint8_t *_Nonnull name, size_t count);

/* Forgets what was put; puts one more value, or a part of a table. Text is copied. */
void clua_clear(clua *_Nonnull state);
void clua_put(clua *_Nonnull state, clua_value value);

/* Where the script is that called the host, or where the last run failed: a file's name and a line, 0 if unknown. */
const char *_Nonnull clua_where(clua_run *_Nonnull run, int32_t *_Nonnull line);
const char *_Nonnull clua_fault(clua *_Nonnull state, const char *_Nullable *_Nonnull file, int32_t *_Nonnull line,
                                int32_t *_Nonnull kind);

/* Bytes in use; allocations that were refused since the state was opened. */
size_t clua_memory(clua *_Nonnull state);
uint64_t clua_refusals(clua *_Nonnull state);

#endif
