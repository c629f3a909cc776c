/* What a script finds besides KSR: Lua's own libraries without what reaches outside of the state (io, the loaders of C
 * and of files, debug, coroutine, finalizers), times and chance from the host, the names of Lua 5.1 that scripts for
 * Kamailio use, and `require` of texts that the host has.
 *
 * Functions of C that a script could keep busy for ever are bounded here, since the count hook does not see into
 * them. */
#include "State.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The most that string.rep repeats and table.move, table.concat and table.unpack go through. */
static const lua_Integer repetition_limit = 16 * 1024 * 1024;
/* The longest text that a pattern is tried on, and the most items of one that repeat: each multiplies the work. */
enum { subject_limit = 64 * 1024, repeat_limit = 16 };

/* MARK: errors, and what is none */

/* Past a protected call: its results; or an error that the script may see; or one that goes on up. */
static int finish(lua_State *thread, int status, lua_KContext below) {
    if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(thread) - (int)below;
    /* To run out of memory again and again costs a whole collection each time. */
    if (status == LUA_ERRMEM) clua_run_of(thread)->passed_memory = clua_run_of(thread)->exits = 1;
    if (clua_run_of(thread)->exits) return lua_error(thread);
    lua_pushboolean(thread, 0);
    lua_pushvalue(thread, -2);
    return 2;
}

static int base_pcall(lua_State *thread) {
    luaL_checkany(thread, 1);
    lua_pushboolean(thread, 1);
    lua_insert(thread, 1);
    return finish(thread, lua_pcallk(thread, lua_gettop(thread) - 2, LUA_MULTRET, 0, 0, finish), 0);
}

static int finish_handler(lua_State *thread, int status, lua_KContext context) {
    (void)thread, (void)status, (void)context;
    return 2;
}

/* The handler is called once the stack is unwound: within the error it would be beyond the limit of steps. */
static int finish_xpcall(lua_State *thread, int status, lua_KContext below) {
    if (status == LUA_OK || status == LUA_YIELD || status == LUA_ERRMEM || clua_run_of(thread)->exits)
        return finish(thread, status, below);
    lua_pushboolean(thread, 0);
    lua_pushvalue(thread, 2);
    lua_pushvalue(thread, -3);
    lua_callk(thread, 1, 1, 0, finish_handler);
    return 2;
}

static int base_xpcall(lua_State *thread) {
    int count = lua_gettop(thread);
    luaL_checktype(thread, 2, LUA_TFUNCTION);
    lua_pushboolean(thread, 1);
    lua_pushvalue(thread, 1);
    lua_rotate(thread, 3, 2);
    return finish_xpcall(thread, lua_pcallk(thread, count - 2, LUA_MULTRET, 0, 2, finish_xpcall), 2);
}

/* A finalizer would run where no limit holds. */
static int base_setmetatable(lua_State *thread) {
    if (lua_istable(thread, 1) && lua_istable(thread, 2)) {
        lua_pushliteral(thread, "__gc");
        if (lua_rawget(thread, 2) != LUA_TNIL) return luaL_error(thread, "a finalizer (__gc) is not for scripts");
        lua_pop(thread, 1);
    }
    lua_pushvalue(thread, lua_upvalueindex(1));
    lua_insert(thread, 1);
    lua_call(thread, lua_gettop(thread) - 1, 1);
    return 1;
}

/* MARK: loading */

/* load(text or function [, name [, mode [, environment]]]): text only, since bytecode can break the machine. */
static int base_load(lua_State *thread) {
    luaL_Buffer text;
    const char *chunk;
    size_t count;
    int has_environment = !lua_isnone(thread, 4);
    if (lua_isstring(thread, 1)) {
        chunk = lua_tolstring(thread, 1, &count);
    } else {
        luaL_checktype(thread, 1, LUA_TFUNCTION);
        lua_settop(thread, 4);
        luaL_buffinit(thread, &text);
        for (;;) {
            size_t length;
            lua_pushvalue(thread, 1);
            lua_call(thread, 0, 1);
            const char *piece = lua_isstring(thread, -1) ? lua_tolstring(thread, -1, &length) : NULL;
            if (!piece || length == 0) break;
            luaL_addvalue(&text);
        }
        lua_pop(thread, 1);
        luaL_pushresult(&text);
        chunk = lua_tolstring(thread, -1, &count);
    }
    const char *name = luaL_optstring(thread, 2, lua_isstring(thread, 1) ? chunk : "=(load)");
    if (luaL_loadbufferx(thread, chunk, count, name, "t") != LUA_OK) {
        lua_pushnil(thread);
        lua_insert(thread, -2);
        return 2;
    }
    if (has_environment) {
        lua_pushvalue(thread, 4);
        if (!lua_setupvalue(thread, -2, 1)) lua_pop(thread, 1);
    }
    return 1;
}

static int keep_module(lua_State *thread, int status, lua_KContext context) {
    (void)status, (void)context;
    lua_settop(thread, 3); /* name, loaded, value */
    if (lua_isnil(thread, 3)) {
        lua_pushvalue(thread, 1);
        if (lua_rawget(thread, 2) == LUA_TNIL) {
            lua_pushboolean(thread, 1);
            lua_replace(thread, 4);
        }
        lua_replace(thread, 3);
    }
    lua_pushvalue(thread, 1);
    lua_pushvalue(thread, 3);
    lua_rawset(thread, 2);
    return 1;
}

static int base_require(lua_State *thread) {
    size_t count;
    const char *name = luaL_checklstring(thread, 1, &count);
    clua *state = clua_run_of(thread)->state;
    lua_settop(thread, 1);
    lua_pushvalue(thread, lua_upvalueindex(1));
    lua_pushvalue(thread, 1);
    if (lua_rawget(thread, 2) != LUA_TNIL) return 1;
    lua_pop(thread, 1);
    clua_clear(state);
    if (!state->host.module(state->host.context, (const uint8_t *)name, count))
        return luaL_error(thread, "module '%s' is not below script.path (modules of C are not loaded)", name);
    clua_push_results(thread, state); /* text, file */
    size_t length;
    const char *text = lua_tolstring(thread, 3, &length);
    lua_pushfstring(thread, "@%s", lua_tostring(thread, 4));
    if (luaL_loadbufferx(thread, text, length, lua_tostring(thread, -1), "t") != LUA_OK) return lua_error(thread);
    lua_replace(thread, 3);
    lua_settop(thread, 3);
    lua_pushvalue(thread, 1);
    lua_callk(thread, 1, 1, 0, keep_module);
    return keep_module(thread, LUA_OK, 0);
}

/* MARK: bounds */

/* Calls the function of the library that this one stands before. */
static int forward(lua_State *thread) {
    lua_pushvalue(thread, lua_upvalueindex(1));
    lua_insert(thread, 1);
    lua_call(thread, lua_gettop(thread) - 1, LUA_MULTRET);
    return lua_gettop(thread);
}

static int bounded_match(lua_State *thread) {
    size_t subject = 0, length = 0;
    const char *pattern = NULL;
    if (lua_type(thread, 1) == LUA_TSTRING) lua_tolstring(thread, 1, &subject);
    if (lua_type(thread, 2) == LUA_TSTRING) pattern = lua_tolstring(thread, 2, &length);
    int repeats = 0;
    for (size_t at = 1; at < length; at++) {
        if (pattern[at - 1] == '%' && (at < 2 || pattern[at - 2] != '%')) continue;
        if (pattern[at] == '*' || pattern[at] == '+' || pattern[at] == '-' || pattern[at] == '?') repeats++;
    }
    if (repeats && subject > subject_limit)
        return luaL_error(thread, "a pattern is tried on %d bytes at most", (int)subject_limit);
    if (repeats > repeat_limit) return luaL_error(thread, "a pattern repeats %d items at most", (int)repeat_limit);
    return forward(thread);
}

static int bounded_repetition(lua_State *thread) {
    if (lua_tointeger(thread, 2) > repetition_limit)
        return luaL_error(thread, "not enough memory for so many repetitions");
    return forward(thread);
}

/* The range is in two arguments from the one that the second upvalue names. */
static int bounded_range(lua_State *thread) {
    int at = (int)lua_tointeger(thread, lua_upvalueindex(2));
    lua_Number first = lua_isnoneornil(thread, at) ? 1 : lua_tonumber(thread, at);
    if (lua_tonumber(thread, at + 1) - first > (lua_Number)repetition_limit)
        return luaL_error(thread, "a range of %I elements at most", (LUAI_UACINT)repetition_limit);
    return forward(thread);
}

/* MARK: time and chance */

static lua_Integer ask(lua_State *thread, int32_t what) {
    clua *state = clua_run_of(thread)->state;
    return (lua_Integer)state->host.ask(state->host.context, what);
}

static int field(lua_State *thread, const char *name, int otherwise) {
    lua_getfield(thread, 1, name);
    int known = 0;
    lua_Integer value = lua_tointegerx(thread, -1, &known);
    lua_pop(thread, 1);
    if (!known && otherwise < 0) return luaL_error(thread, "field '%s' missing in date table", name);
    if (value > 2000000000 || value < -2000000000) return luaL_error(thread, "field '%s' is out of range", name);
    return known ? (int)value : otherwise;
}

static int os_time(lua_State *thread) {
    if (lua_isnoneornil(thread, 1)) {
        lua_pushinteger(thread, ask(thread, CLUA_UNIX_SECONDS));
        return 1;
    }
    luaL_checktype(thread, 1, LUA_TTABLE);
    struct tm parts = {0};
    parts.tm_year = field(thread, "year", -1) - 1900;
    parts.tm_mon = field(thread, "month", -1) - 1;
    parts.tm_mday = field(thread, "day", -1);
    parts.tm_hour = field(thread, "hour", 12);
    parts.tm_min = field(thread, "min", 0);
    parts.tm_sec = field(thread, "sec", 0);
    parts.tm_isdst = -1;
    time_t seconds = clua_run_of(thread)->state->limits.replayable ? timegm(&parts) : mktime(&parts);
    lua_pushinteger(thread, (lua_Integer)seconds);
    return 1;
}

static void set_part(lua_State *thread, const char *name, int value) {
    lua_pushinteger(thread, value);
    lua_setfield(thread, -2, name);
}

static int os_date(lua_State *thread) {
    const char *format = luaL_optstring(thread, 1, "%c");
    int is_now = lua_isnoneornil(thread, 2);
    time_t seconds = (time_t)(is_now ? ask(thread, CLUA_UNIX_SECONDS) : luaL_checkinteger(thread, 2));
    int is_utc = clua_run_of(thread)->state->limits.replayable;
    if (*format == '!') {
        is_utc = 1;
        format++;
    }
    struct tm parts;
    if (!(is_utc ? gmtime_r(&seconds, &parts) : localtime_r(&seconds, &parts)))
        return luaL_error(thread, "that time cannot be represented");
    if (strncmp(format, "*t", 2) == 0) {
        lua_createtable(thread, 0, 9);
        set_part(thread, "year", parts.tm_year + 1900);
        set_part(thread, "month", parts.tm_mon + 1);
        set_part(thread, "day", parts.tm_mday);
        set_part(thread, "hour", parts.tm_hour);
        set_part(thread, "min", parts.tm_min);
        set_part(thread, "sec", parts.tm_sec);
        set_part(thread, "yday", parts.tm_yday + 1);
        set_part(thread, "wday", parts.tm_wday + 1);
        lua_pushboolean(thread, parts.tm_isdst > 0);
        lua_setfield(thread, -2, "isdst");
        return 1;
    }
    char text[512];
    lua_pushlstring(thread, text, strftime(text, sizeof text, format, &parts));
    return 1;
}

static int os_clock(lua_State *thread) {
    lua_pushnumber(thread, (lua_Number)ask(thread, CLUA_NANOSECONDS) / 1e9);
    return 1;
}

static int os_difftime(lua_State *thread) {
    lua_pushnumber(thread, luaL_checknumber(thread, 1) - luaL_optnumber(thread, 2, 0));
    return 1;
}

static int math_random(lua_State *thread) {
    uint64_t chance = (uint64_t)ask(thread, CLUA_RANDOM);
    int count = lua_gettop(thread);
    if (count == 0) {
        lua_pushnumber(thread, (lua_Number)(chance >> 11) * 0x1p-53);
        return 1;
    }
    lua_Integer low = count > 1 ? luaL_checkinteger(thread, 1) : 1;
    lua_Integer high = luaL_checkinteger(thread, count > 1 ? 2 : 1);
    if (count == 1 && high == 0) {
        lua_pushinteger(thread, (lua_Integer)chance);
        return 1;
    }
    luaL_argcheck(thread, low <= high, count > 1 ? 2 : 1, "interval is empty");
    uint64_t span = (uint64_t)high - (uint64_t)low + 1;
    lua_pushinteger(thread, (lua_Integer)((uint64_t)low + (span ? chance % span : chance)));
    return 1;
}

static int nothing(lua_State *thread) {
    (void)thread;
    return 0;
}

static int math_pow(lua_State *thread) {
    lua_pushnumber(thread, pow(luaL_checknumber(thread, 1), luaL_checknumber(thread, 2)));
    return 1;
}

/* MARK: opening */

static void set_function(lua_State *main, const char *table, const char *name, lua_CFunction function) {
    lua_getglobal(main, table);
    lua_pushcfunction(main, function);
    lua_setfield(main, -2, name);
    lua_pop(main, 1);
}

/* Puts a function before one of the library's. */
static void stand_before(lua_State *main, const char *table, const char *name, lua_CFunction function, int place) {
    lua_getglobal(main, table);
    lua_getfield(main, -1, name);
    lua_pushinteger(main, place);
    lua_pushcclosure(main, function, 2);
    lua_setfield(main, -2, name);
    lua_pop(main, 1);
}

/* Strings before other keys by their bytes, numbers by their value: the same in every process. */
static const char sorted_pairs[] =
    "local next, type, sort, rawget, tostring, plain, meta = next, type, table.sort, rawget, tostring, pairs, ...\n"
    "local function before(a, b)\n"
    "  local x, y = type(a), type(b)\n"
    "  if x ~= y then return x < y end\n"
    "  if x == 'number' or x == 'string' then return a < b end\n"
    "  return tostring(a) < tostring(b)\n"
    "end\n"
    "function pairs(t)\n"
    "  if type(t) ~= 'table' or meta(t) then return plain(t) end\n"
    "  local keys, n, i = {}, 0, 0\n"
    "  for k in next, t do n = n + 1; keys[n] = k end\n"
    "  sort(keys, before)\n"
    "  return function(t)\n"
    "    while i < n do\n"
    "      i = i + 1\n"
    "      local v = rawget(t, keys[i])\n"
    "      if v ~= nil then return keys[i], v end\n"
    "    end\n"
    "  end, t, nil\n"
    "end\n";

static const char shims[] =
    "unpack, loadstring = table.unpack, load\n"
    "function table.getn(t) return #t end\n"
    "function table.maxn(t) local n = 0; for k in next, t do if type(k) == 'number' and k > n then n = k end end; "
    "return n end\n"
    "math.mod, string.gfind = math.fmod, string.gmatch\n";

static int has_pairs(lua_State *thread) {
    lua_pushboolean(thread, luaL_getmetafield(thread, 1, "__pairs") != LUA_TNIL);
    return 1;
}

static void run_text(lua_State *main, const char *text, size_t count, int arguments) {
    if (luaL_loadbufferx(main, text, count, "=library", "t") != LUA_OK) lua_error(main);
    lua_insert(main, -1 - arguments);
    lua_call(main, arguments, 0);
}

static void bound_library(lua_State *main) {
    static const char *const matching[] = {"find", "match", "gmatch", "gsub"};
    for (size_t index = 0; index < 4; index++) stand_before(main, "string", matching[index], bounded_match, 0);
    stand_before(main, "string", "rep", bounded_repetition, 0);
    stand_before(main, "table", "move", bounded_range, 2);
    stand_before(main, "table", "concat", bounded_range, 3);
    stand_before(main, "table", "unpack", bounded_range, 2);
    set_function(main, "math", "random", math_random);
    set_function(main, "math", "randomseed", nothing);
    set_function(main, "math", "pow", math_pow);
}

static void open_system(lua_State *main) {
    static const luaL_Reg times[] = {
        {"time", os_time}, {"date", os_date}, {"clock", os_clock}, {"difftime", os_difftime}, {NULL, NULL}};
    luaL_newlib(main, times);
    lua_setglobal(main, "os");
    lua_newtable(main); /* package: scripts write package.path, and read package.loaded */
    lua_pushliteral(main, "");
    lua_setfield(main, -2, "path");
    lua_pushliteral(main, "");
    lua_setfield(main, -2, "cpath");
    lua_newtable(main);
    lua_pushvalue(main, -1);
    lua_setfield(main, -3, "loaded");
    lua_pushcclosure(main, base_require, 1);
    lua_setglobal(main, "require");
    lua_setglobal(main, "package");
}

void clua_open_libraries(lua_State *main, clua *state) {
    static const luaL_Reg libraries[] = {{"_G", luaopen_base},   {"string", luaopen_string}, {"table", luaopen_table},
                                         {"math", luaopen_math}, {"utf8", luaopen_utf8},     {NULL, NULL}};
    static const char *const removed[] = {"dofile", "loadfile", "collectgarbage", "print", "warn"};
    static const luaL_Reg base[] = {
        {"pcall", base_pcall}, {"xpcall", base_xpcall}, {"load", base_load}, {NULL, NULL}};
    for (const luaL_Reg *library = libraries; library->func; library++) {
        luaL_requiref(main, library->name, library->func, 1);
        lua_pop(main, 1);
    }
    for (size_t index = 0; index < sizeof removed / sizeof *removed; index++) {
        lua_pushnil(main);
        lua_setglobal(main, removed[index]);
    }
    lua_pushglobaltable(main);
    luaL_setfuncs(main, base, 0);
    lua_pop(main, 1);
    stand_before(main, "_G", "setmetatable", base_setmetatable, 0);
    lua_getglobal(main, "string");
    lua_pushnil(main);
    lua_setfield(main, -2, "dump");
    lua_pop(main, 1);
    bound_library(main);
    open_system(main);
    run_text(main, shims, sizeof shims - 1, 0);
    if (state->limits.replayable) {
        lua_pushcfunction(main, has_pairs);
        run_text(main, sorted_pairs, sizeof sorted_pairs - 1, 1);
    }
    lua_newtable(main);
    lua_setglobal(main, "KSR");
}
