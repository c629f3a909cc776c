/* What the two halves of CLua share: the state, a run, and the libraries that are opened for scripts. */
#ifndef UNDERSTUDY_CLUA_STATE_H
#define UNDERSTUDY_CLUA_STATE_H

#include "CLua.h"
#include <lua5.4/lauxlib.h>
#include <lua5.4/lua.h>
#include <lua5.4/lualib.h>

struct clua_run {
    clua *state;
    lua_State *thread; /* NULL in a slot that has none */
    int reference;
    int64_t steps;
    int64_t step_limit;
    size_t memory_left;
    int exits; /* it is being left: by exit, or past its limit */
    int passed_steps, passed_memory;
    int is_too_deep; /* its steps count as passed for that */
    int is_absent;
    /* What it begins with: lent until it has begun. */
    const uint8_t *name, *argument;
    size_t name_count, argument_count;
    int is_chunk;
    struct clua_run *next;
};

struct clua {
    lua_State *main;
    clua_host host;
    clua_limits limits;
    size_t used, limit;
    uint64_t refusals;
    clua_run *idle;
    clua_run *running;
    clua_value *results;
    size_t result_count, result_capacity;
    uint8_t *scratch; /* text of results; their `integer` is its place here until they are pushed */
    size_t scratch_count, scratch_capacity;
    int results_failed;
    char message[512];
    char file[256];
    int32_t line, kind;
};

clua_run *clua_run_of(lua_State *thread);
/* Pushes what the host has put, and answers how many values that is. */
int clua_push_results(lua_State *thread, clua *state);
/* Opens the libraries and makes the table KSR; within a protected call. */
void clua_open_libraries(lua_State *main, clua *state);

#endif
