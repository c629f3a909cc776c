/* c-ares as Swift sees it: the library's own header, and the calls whose C structures are unpleasant to build from
 * Swift (ares_options, timeval, the list of servers). Written for 1.18, which Debian 12 has: no event thread, no
 * ares_dns_record. */
#ifndef UNDERSTUDY_CCARES_SHIM_H
#define UNDERSTUDY_CCARES_SHIM_H

#include <ares.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>

/* Opens a channel that reports its sockets to `state`; names are taken as they are, without search domains. With
 * `takes_errors` the first answer counts, even one that is an error code; without it the next server is asked. */
static inline int cares_open(ares_channel *channel, int timeout_ms, int tries, int takes_errors,
                             ares_sock_state_cb state, void *data) {
    struct ares_options options = {0};
    options.flags = ARES_FLAG_NOSEARCH | (takes_errors ? ARES_FLAG_NOCHECKRESP : 0);
    options.timeout = timeout_ms;
    options.tries = tries;
    options.sock_state_cb = state;
    options.sock_state_cb_data = data;
    return ares_init_options(channel, &options,
                             ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
}

/* How many servers the system's configuration names; 0 when it cannot be read. */
static inline int cares_system_server_count(void) {
    ares_channel channel;
    struct ares_addr_port_node *servers = NULL, *server;
    int count = 0;
    if (ares_init(&channel) != ARES_SUCCESS) return 0;
    if (ares_get_servers_ports(channel, &servers) == ARES_SUCCESS) {
        for (server = servers; server != NULL; server = server->next) count++;
        ares_free_data(servers);
    }
    ares_destroy(channel);
    return count;
}

/* Nanoseconds until the channel wants to be processed without an event; negative: never. */
static inline int64_t cares_timeout(ares_channel channel) {
    struct timeval limit, *wanted = ares_timeout(channel, NULL, &limit);
    return wanted ? (int64_t)wanted->tv_sec * 1000000000 + (int64_t)wanted->tv_usec * 1000 : -1;
}

/* Works off what is ready on a descriptor, and every timeout that is due. */
static inline void cares_process(ares_channel channel, int descriptor, int readable, int writable) {
    ares_process_fd(channel, readable ? descriptor : ARES_SOCKET_BAD, writable ? descriptor : ARES_SOCKET_BAD);
}

static const int32_t CARES_CLASS_IN = 1;

#endif
