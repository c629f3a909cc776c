/* The state, its memory, its runs and the way to the host: see CLua.h. */
#include "State.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Instructions between two looks at the limit. */
enum { stride = 1000, argument_limit = 8, depth_limit = 8 };

clua_run *clua_run_of(lua_State *thread) { return *(clua_run **)lua_getextraspace(thread); }

static void *allocate(void *owner, void *block, size_t old_size, size_t new_size) {
    clua *state = owner;
    size_t before = block ? old_size : 0;
    if (new_size == 0) {
        free(block);
        state->used -= before;
        return NULL;
    }
    if (new_size > before && state->used + (new_size - before) > state->limit) {
        state->refusals++;
        return NULL;
    }
    void *grown = realloc(block, new_size);
    if (!grown) return NULL;
    state->used += new_size - before;
    return grown;
}

static int panic(lua_State *thread) {
    const char *text = lua_type(thread, -1) == LUA_TSTRING ? lua_tostring(thread, -1) : "no text";
    fprintf(stderr, "Lua was called outside of a protected call: %s\n", text);
    return 0; /* Lua aborts */
}

/* MARK: limits */

static void place(lua_State *thread, int level, char *file, size_t capacity, int32_t *line) {
    lua_Debug activation;
    *line = 0;
    file[0] = 0;
    for (; lua_getstack(thread, level, &activation); level++) {
        lua_getinfo(thread, "Sl", &activation);
        if (activation.currentline <= 0) continue;
        const char *source = activation.source;
        snprintf(file, capacity, "%s", source[0] == '@' ? source + 1 : activation.short_src);
        *line = activation.currentline;
        return;
    }
}

/* Calls within one another: as many as Lua 5.1 takes. Lua 5.4's own limit costs a run tens of milliseconds. To count
   them is to walk over them, so that is done now and then; there are a few thousand more at most when it is seen. */
enum { call_limit = 20000, calls_looked_at = 16 * stride };

static void count_steps(lua_State *thread, lua_Debug *activation) {
    clua_run *run = clua_run_of(thread);
    lua_Debug deepest;
    run->steps += stride;
    if (!run->passed_steps && run->steps < run->step_limit) {
        if (run->steps % calls_looked_at || !lua_getstack(thread, call_limit, &deepest)) return;
        run->is_too_deep = 1;
    }
    run->passed_steps = run->exits = 1;
    lua_sethook(thread, count_steps, LUA_MASKCOUNT, 1);
    lua_getinfo(thread, "Sl", activation);
    if (run->is_too_deep) {
        lua_pushfstring(thread, "%s:%d: stack overflow: more than %d calls within one another", activation->short_src,
                        activation->currentline, (int)call_limit);
        lua_error(thread);
    }
    lua_pushfstring(thread, "%s:%d: more than %I instructions in one run", activation->short_src,
                    activation->currentline, (LUAI_UACINT)run->step_limit);
    lua_error(thread);
}

/* MARK: the host */

void clua_clear(clua *state) {
    state->result_count = state->scratch_count = 0;
    state->results_failed = 0;
}

void clua_put(clua *state, clua_value value) {
    if (state->result_count == state->result_capacity) {
        size_t capacity = state->result_capacity ? 2 * state->result_capacity : 16;
        clua_value *grown = realloc(state->results, capacity * sizeof *grown);
        if (!grown) {
            state->results_failed = 1;
            return;
        }
        state->results = grown;
        state->result_capacity = capacity;
    }
    if (value.kind == CLUA_TEXT) {
        if (state->scratch_count + value.count > state->scratch_capacity) {
            size_t capacity = 2 * (state->scratch_count + value.count) + 256;
            uint8_t *grown = realloc(state->scratch, capacity);
            if (!grown) {
                state->results_failed = 1;
                return;
            }
            state->scratch = grown;
            state->scratch_capacity = capacity;
        }
        if (value.count) memcpy(state->scratch + state->scratch_count, value.text, value.count);
        value.integer = (int64_t)state->scratch_count;
        state->scratch_count += value.count;
    }
    state->results[state->result_count++] = value;
}

static size_t push_value(lua_State *thread, clua *state, size_t at, int depth) {
    clua_value value = state->results[at++];
    switch (value.kind) {
    case CLUA_BOOLEAN: lua_pushboolean(thread, value.integer != 0); break;
    case CLUA_INTEGER: lua_pushinteger(thread, value.integer); break;
    case CLUA_NUMBER: lua_pushnumber(thread, value.number); break;
    case CLUA_TEXT: lua_pushlstring(thread, (const char *)state->scratch + value.integer, value.count); break;
    case CLUA_TABLE:
        lua_newtable(thread);
        while (at + 1 < state->result_count && state->results[at].kind != CLUA_END) {
            if (depth == depth_limit) luaL_error(thread, "a result is nested too deep");
            at = push_value(thread, state, at, depth + 1);
            at = push_value(thread, state, at, depth + 1);
            lua_rawset(thread, -3);
        }
        at++;
        break;
    default: lua_pushnil(thread);
    }
    return at;
}

int clua_push_results(lua_State *thread, clua *state) {
    int count = 0;
    if (state->results_failed) luaL_error(thread, "not enough memory");
    /* For one that is no table there is always room. */
    if (state->result_count > 1) luaL_checkstack(thread, 24, "results");
    for (size_t at = 0; at < state->result_count && count < argument_limit; count++)
        at = push_value(thread, state, at, 0);
    return count;
}

static int after_wait(lua_State *thread, int status, lua_KContext context) {
    (void)status, (void)context;
    return clua_push_results(thread, clua_run_of(thread)->state);
}

static int call_host(lua_State *thread) {
    clua_run *run = clua_run_of(thread);
    clua *state = run->state;
    clua_value arguments[argument_limit];
    int count = lua_gettop(thread);
    if (count > argument_limit) count = argument_limit;
    for (int index = 0; index < count; index++) {
        clua_value value = {CLUA_NIL, 0, 0, NULL, 0};
        switch (lua_type(thread, index + 1)) {
        case LUA_TNIL: break;
        case LUA_TBOOLEAN:
            value.kind = CLUA_BOOLEAN;
            value.integer = lua_toboolean(thread, index + 1);
            break;
        case LUA_TNUMBER:
            value.kind = lua_isinteger(thread, index + 1) ? CLUA_INTEGER : CLUA_NUMBER;
            value.integer = lua_tointegerx(thread, index + 1, NULL);
            value.number = lua_tonumberx(thread, index + 1, NULL);
            break;
        case LUA_TSTRING:
            value.kind = CLUA_TEXT;
            value.text = (const uint8_t *)lua_tolstring(thread, index + 1, &value.count);
            break;
        default: value.kind = CLUA_OTHER;
        }
        arguments[index] = value;
    }
    clua_clear(state);
    int32_t function = (int32_t)lua_tointegerx(thread, lua_upvalueindex(1), NULL);
    int32_t answer = state->host.call(state->host.context, run, function, arguments, count);
    switch (answer) {
    case CLUA_RAISE:
        luaL_where(thread, 1);
        if (clua_push_results(thread, state) != 1) lua_pushliteral(thread, "refused");
        lua_concat(thread, 2);
        return lua_error(thread);
    case CLUA_EXIT:
        run->exits = 1;
        if (lua_isyieldable(thread)) return lua_yield(thread, 0);
        lua_pushliteral(thread, "exit");
        return lua_error(thread);
    case CLUA_WAIT:
        if (!lua_isyieldable(thread)) return luaL_error(thread, "this cannot wait within a function of the library");
        return lua_yieldk(thread, 0, 0, after_wait);
    default: return clua_push_results(thread, state);
    }
}

/* MARK: opening */

static int define(lua_State *thread) {
    const char *name = lua_touserdata(thread, 1);
    lua_Integer function = lua_tointeger(thread, 2);
    const char *dot = strchr(name, '.');
    lua_getglobal(thread, "KSR");
    if (dot) {
        lua_pushlstring(thread, name, (size_t)(dot - name));
        if (lua_rawget(thread, -2) != LUA_TTABLE) {
            lua_pop(thread, 1);
            lua_newtable(thread);
            lua_pushlstring(thread, name, (size_t)(dot - name));
            lua_pushvalue(thread, -2);
            lua_rawset(thread, -4);
        }
        name = dot + 1;
    }
    lua_pushinteger(thread, function);
    lua_pushcclosure(thread, call_host, 1);
    lua_setfield(thread, -2, name);
    return 0;
}

int32_t clua_define(clua *state, const char *name, int32_t function) {
    state->limit = state->limits.state_memory;
    lua_pushcfunction(state->main, define);
    lua_pushlightuserdata(state->main, (void *)name);
    lua_pushinteger(state->main, function);
    int status = lua_pcall(state->main, 2, 0, 0);
    lua_settop(state->main, 0);
    return status == LUA_OK;
}

static int open_all(lua_State *main) {
    clua_open_libraries(main, lua_touserdata(main, 1));
    return 0;
}

clua *clua_open(clua_host host, clua_limits limits) {
    clua *state = calloc(1, sizeof *state);
    if (!state) return NULL;
    state->host = host;
    state->limits = limits;
    state->limit = limits.state_memory;
    state->main = lua_newstate(allocate, state);
    if (!state->main) {
        free(state);
        return NULL;
    }
    lua_atpanic(state->main, panic);
    lua_checkstack(state->main, 64);
    *(clua_run **)lua_getextraspace(state->main) = NULL;
    lua_pushcfunction(state->main, open_all);
    lua_pushlightuserdata(state->main, state);
    if (lua_pcall(state->main, 1, 0, 0) != LUA_OK) {
        clua_close(state);
        return NULL;
    }
    return state;
}

void clua_close(clua *state) {
    lua_close(state->main);
    while (state->idle) {
        clua_run *next = state->idle->next;
        free(state->idle);
        state->idle = next;
    }
    free(state->results);
    free(state->scratch);
    free(state);
}

/* MARK: runs */

static int make_thread(lua_State *main) {
    clua_run *run = lua_touserdata(main, 1);
    lua_State *thread = lua_newthread(main);
    run->reference = luaL_ref(main, LUA_REGISTRYINDEX);
    *(clua_run **)lua_getextraspace(thread) = run;
    run->thread = thread;
    return 0;
}

static int drop_thread(lua_State *main) {
    clua_run *run = lua_touserdata(main, 1);
    luaL_unref(main, LUA_REGISTRYINDEX, run->reference);
    return 0;
}

static int protected_with(clua *state, lua_CFunction function, clua_run *run) {
    lua_pushcfunction(state->main, function);
    lua_pushlightuserdata(state->main, run);
    int status = lua_pcall(state->main, 1, 0, 0);
    lua_settop(state->main, 0);
    return status == LUA_OK;
}

/* A coroutine that is not in use: an idle one, or a new one. */
static clua_run *take_run(clua *state) {
    clua_run *run = state->idle;
    if (run) {
        state->idle = run->next;
    } else {
        run = calloc(1, sizeof *run);
        if (!run) return NULL;
        run->state = state;
    }
    state->limit = state->limits.state_memory;
    if (!run->thread && !protected_with(state, make_thread, run)) {
        run->next = state->idle;
        state->idle = run;
        return NULL;
    }
    run->steps = 0;
    run->step_limit = state->limits.steps;
    run->memory_left = state->limits.run_memory;
    run->exits = run->passed_steps = run->is_too_deep = run->passed_memory = run->is_absent = run->is_chunk = 0;
    lua_sethook(run->thread, count_steps, LUA_MASKCOUNT, stride);
    return run;
}

/* Its coroutine serves again; one that failed, or was given up, does not: a hook that raised is off in it for good. */
static void give_back(clua *state, clua_run *run, int reusable) {
    state->limit = state->limits.state_memory;
    if (!reusable) {
        protected_with(state, drop_thread, run);
        run->thread = NULL;
    }
    run->next = state->idle;
    state->idle = run;
}

static void note_fault(clua *state, clua_run *run, int status) {
    lua_State *thread = run->thread;
    int is_memory = status == LUA_ERRMEM || run->passed_memory;
    state->kind = run->passed_steps ? CLUA_STEPS : is_memory ? CLUA_MEMORY : CLUA_ERROR;
    place(thread, 0, state->file, sizeof state->file, &state->line);
    if (lua_type(thread, -1) == LUA_TSTRING) {
        snprintf(state->message, sizeof state->message, "%s", lua_tostring(thread, -1));
    } else {
        snprintf(state->message, sizeof state->message, "the error is a %s", luaL_typename(thread, -1));
    }
}

static int32_t go_on(clua *state, clua_run *run, int count) {
    size_t before = state->used, room = state->limits.state_memory > before ? state->limits.state_memory - before : 0;
    int results = 0;
    state->limit = before + (run->memory_left < room ? run->memory_left : room);
    clua_run *outer = state->running;
    state->running = run;
    int status = lua_resume(run->thread, state->main, count, &results);
    state->running = outer;
    if (state->used > before) {
        size_t grown = state->used - before;
        run->memory_left = run->memory_left > grown ? run->memory_left - grown : 0;
    }
    state->limit = state->limits.state_memory;
    if (status == LUA_YIELD && !run->exits) return CLUA_WAITING;
    if (status == LUA_YIELD || (run->exits && !run->passed_steps && !run->passed_memory)) {
        give_back(state, run, lua_resetthread(run->thread) == LUA_OK);
        return CLUA_EXITED;
    }
    if (status == LUA_OK) {
        lua_settop(run->thread, 0);
        int is_absent = run->is_absent;
        give_back(state, run, 1);
        return is_absent ? CLUA_ABSENT : CLUA_ENDED;
    }
    note_fault(state, run, status);
    give_back(state, run, 0);
    return CLUA_FAILED;
}

static int nothing_more(lua_State *thread, int status, lua_KContext context) {
    (void)thread, (void)status, (void)context;
    return 0;
}

/* What a coroutine begins with: everything from here on is protected by the resume. */
static int body(lua_State *thread) {
    clua_run *run = clua_run_of(thread);
    int count = 0;
    if (run->is_chunk) {
        if (luaL_loadbufferx(thread, (const char *)run->name, run->name_count, (const char *)run->argument, "t"))
            return lua_error(thread);
        if (run->is_chunk == 2) return 0;
    } else {
        lua_pushglobaltable(thread);
        lua_pushlstring(thread, (const char *)run->name, run->name_count);
        if (lua_rawget(thread, -2) != LUA_TFUNCTION) {
            run->is_absent = 1;
            return 0;
        }
        if (run->argument) {
            lua_pushlstring(thread, (const char *)run->argument, run->argument_count);
            count = 1;
        }
    }
    run->name = run->argument = NULL;
    lua_callk(thread, count, 0, 0, nothing_more);
    return 0;
}

static int32_t no_run(clua *state) {
    state->kind = CLUA_MEMORY;
    state->line = 0;
    state->file[0] = 0;
    snprintf(state->message, sizeof state->message, "not enough memory");
    return CLUA_FAILED;
}

int32_t clua_start(clua *state, const uint8_t *name, size_t count, const uint8_t *argument, size_t argument_count,
                   clua_run **started) {
    clua_run *run = take_run(state);
    *started = run;
    if (!run) return no_run(state);
    run->name = name;
    run->name_count = count;
    run->argument = argument;
    run->argument_count = argument_count;
    lua_pushcfunction(run->thread, body);
    return go_on(state, run, 0);
}

int32_t clua_resume(clua *state, clua_run *run) { return go_on(state, run, 0); }

void clua_drop(clua *state, clua_run *run) { give_back(state, run, 0); }

/* A syntax error's place stands in its text: `name:line: what`. */
static void place_of_syntax(clua *state, const char *name) {
    size_t length = strlen(name);
    const char *text = state->message;
    if (state->line == 0 && strncmp(text, name + 1, length - 1) == 0 && text[length - 1] == ':') {
        snprintf(state->file, sizeof state->file, "%s", name + 1);
        state->line = (int32_t)strtol(text + length, NULL, 10);
    }
}

int32_t clua_load(clua *state, const uint8_t *text, size_t count, const char *name, int32_t compiles_only) {
    char chunk[256];
    snprintf(chunk, sizeof chunk, "@%s", name);
    clua_run *run = take_run(state);
    if (!run) return no_run(state);
    run->is_chunk = compiles_only ? 2 : 1;
    run->name = text;
    run->name_count = count;
    run->argument = (const uint8_t *)chunk;
    /* A file may fill tables: what it is allowed is the state's. */
    run->step_limit = state->limits.steps * 20;
    run->memory_left = state->limits.state_memory;
    lua_pushcfunction(run->thread, body);
    int32_t outcome = go_on(state, run, 0);
    if (outcome == CLUA_FAILED) place_of_syntax(state, chunk);
    if (outcome != CLUA_WAITING) return outcome;
    give_back(state, run, 0);
    state->kind = CLUA_ERROR;
    state->line = 0;
    snprintf(state->message, sizeof state->message, "a script cannot wait while it is loaded");
    return CLUA_FAILED;
}

static int look_up(lua_State *main) {
    clua_run *run = lua_touserdata(main, 1);
    lua_pushglobaltable(main);
    lua_pushlstring(main, (const char *)run->name, run->name_count);
    run->is_absent = lua_rawget(main, -2) != LUA_TFUNCTION;
    return 0;
}

int32_t clua_has(clua *state, const uint8_t *name, size_t count) {
    clua_run question = {.state = state, .name = name, .name_count = count, .is_absent = 1};
    return protected_with(state, look_up, &question) && !question.is_absent;
}

const char *clua_where(clua_run *run, int32_t *line) {
    place(run->thread, 1, run->state->file, sizeof run->state->file, line);
    return run->state->file;
}

const char *clua_fault(clua *state, const char **file, int32_t *line, int32_t *kind) {
    *file = state->file;
    *line = state->line;
    *kind = state->kind;
    return state->message;
}

size_t clua_memory(clua *state) { return state->used; }
uint64_t clua_refusals(clua *state) { return state->refusals; }
