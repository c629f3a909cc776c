/* See include/CSockets.h. Here: addresses, clocks, sockets, waiting, threads. The datagram batches are in Batches.c. */
#define _GNU_SOURCE
#include "CSockets.h"
#include "Addresses.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* ---- addresses ---- */

static uint64_t csys_load64(const uint8_t *bytes) {
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | bytes[i];
    return value;
}

static void csys_store64(uint8_t *bytes, uint64_t value) {
    for (int i = 7; i >= 0; i--, value >>= 8) bytes[i] = (uint8_t)value;
}

socklen_t csys_to_sockaddr(const csys_endpoint *endpoint, struct sockaddr_storage *out) {
    if (endpoint->is_ipv6) {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
        memset(v6, 0, sizeof *v6);
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(endpoint->port);
        csys_store64(v6->sin6_addr.s6_addr, endpoint->high);
        csys_store64(v6->sin6_addr.s6_addr + 8, endpoint->low);
        return sizeof *v6;
    }
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    memset(v4, 0, sizeof *v4);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(endpoint->port);
    v4->sin_addr.s_addr = htonl((uint32_t)endpoint->low);
    return sizeof *v4;
}

int csys_from_sockaddr(const struct sockaddr *address, csys_endpoint *out) {
    memset(out, 0, sizeof *out);
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        out->low = ntohl(v4->sin_addr.s_addr);
        out->port = ntohs(v4->sin_port);
        return 1;
    }
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        out->high = csys_load64(v6->sin6_addr.s6_addr);
        out->low = csys_load64(v6->sin6_addr.s6_addr + 8);
        out->port = ntohs(v6->sin6_port);
        out->is_ipv6 = 1;
        return 1;
    }
    return 0;
}

int csys_parse_address(const char *text, csys_endpoint *out) {
    struct in_addr v4;
    struct in6_addr v6;
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &v4) == 1) {
        out->low = ntohl(v4.s_addr);
        return 0;
    }
    if (inet_pton(AF_INET6, text, &v6) == 1) {
        out->high = csys_load64(v6.s6_addr);
        out->low = csys_load64(v6.s6_addr + 8);
        out->is_ipv6 = 1;
        return 0;
    }
    return -EINVAL;
}

int csys_host_addresses(csys_endpoint *out, int capacity) {
    struct ifaddrs *list;
    int count = 0;
    if (getifaddrs(&list) != 0) return -errno;
    for (struct ifaddrs *entry = list; entry != NULL && count < capacity; entry = entry->ifa_next)
        if (entry->ifa_addr != NULL && csys_from_sockaddr(entry->ifa_addr, &out[count])) count++;
    freeifaddrs(list);
    return count;
}

/* ---- clocks ---- */

static int64_t csys_clock(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t csys_boottime(void) { return csys_clock(CLOCK_BOOTTIME); }
int64_t csys_realtime(void) { return csys_clock(CLOCK_REALTIME); }
int64_t csys_process_cpu(void) { return csys_clock(CLOCK_PROCESS_CPUTIME_ID); }

/* ---- UDP ---- */

static int csys_set(int descriptor, int level, int option, int value) {
    return setsockopt(descriptor, level, option, &value, sizeof value);
}

int csys_udp_open(const csys_endpoint *local, int freebind, int buffer_bytes, int *step) {
    int family = local->is_ipv6 ? AF_INET6 : AF_INET;
    struct sockaddr_storage name;
    *step = CSYS_STEP_SOCKET;
    int descriptor = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) return -errno;
    /* Buffers above net.core.[rw]mem_max need CAP_NET_ADMIN; without it the kernel grants what it may. */
    if (csys_set(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, buffer_bytes) != 0)
        csys_set(descriptor, SOL_SOCKET, SO_RCVBUF, buffer_bytes);
    if (csys_set(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, buffer_bytes) != 0)
        csys_set(descriptor, SOL_SOCKET, SO_SNDBUF, buffer_bytes);
    *step = CSYS_STEP_OPTION;
    if (csys_set(descriptor, SOL_SOCKET, SO_TIMESTAMPNS, 1) != 0) goto failed;
    if (local->is_ipv6 && csys_set(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1) != 0) goto failed;
    /* IPv6 sockets look at their own flag since Linux 4.15; the IPv4 one serves both before. */
    if (freebind && local->is_ipv6 && csys_set(descriptor, IPPROTO_IPV6, IPV6_FREEBIND, 1) != 0 &&
        csys_set(descriptor, IPPROTO_IP, IP_FREEBIND, 1) != 0)
        goto failed;
    if (freebind && !local->is_ipv6 && csys_set(descriptor, IPPROTO_IP, IP_FREEBIND, 1) != 0) goto failed;
    *step = CSYS_STEP_BIND;
    if (bind(descriptor, (struct sockaddr *)&name, csys_to_sockaddr(local, &name)) != 0) goto failed;
    return descriptor;
failed:;
    int error = errno;
    close(descriptor);
    return -error;
}

int csys_local_endpoint(int descriptor, csys_endpoint *out) {
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    if (getsockname(descriptor, (struct sockaddr *)&name, &length) != 0) return -errno;
    return csys_from_sockaddr((struct sockaddr *)&name, out) ? 0 : -EAFNOSUPPORT;
}

int csys_receive_buffer(int descriptor) {
    int value = 0;
    socklen_t length = sizeof value;
    return getsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &value, &length) == 0 ? value : -errno;
}

int64_t csys_receive_drops(int descriptor) {
    uint32_t values[16] = {0}; /* linux/sock_diag.h: SK_MEMINFO_DROPS is the ninth */
    socklen_t length = sizeof values;
    if (getsockopt(descriptor, SOL_SOCKET, SO_MEMINFO, values, &length) != 0) return 0;
    return length > 8 * sizeof values[0] ? values[8] : 0;
}

/* ---- waiting ---- */

int csys_poll(struct pollfd *descriptors, int count, int64_t timeout) {
    struct timespec limit = {.tv_sec = timeout / 1000000000, .tv_nsec = timeout % 1000000000};
    int ready = ppoll(descriptors, (nfds_t)count, timeout < 0 ? NULL : &limit, NULL);
    if (ready >= 0) return ready;
    if (errno != EINTR) return -errno;
    for (int i = 0; i < count; i++) descriptors[i].revents = 0;
    return 0;
}

int csys_event_create(void) {
    int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return descriptor >= 0 ? descriptor : -errno;
}

void csys_event_kick(int descriptor) {
    uint64_t one = 1;
    /* Fails only when the counter is full, and then the reader is awake already. */
    if (write(descriptor, &one, sizeof one) < 0) return;
}

void csys_event_clear(int descriptor) {
    uint64_t count;
    if (read(descriptor, &count, sizeof count) < 0) return;
}

void csys_close(int descriptor) { close(descriptor); }

/* ---- TCP probe ---- */

int csys_tcp_probe(const csys_endpoint *to, int timeout_ms) {
    struct sockaddr_storage name;
    csys_endpoint local;
    int result = CSYS_PROBE_SILENT, error = 0;
    socklen_t length = csys_to_sockaddr(to, &name);
    int descriptor = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) return CSYS_PROBE_SILENT;
    if (connect(descriptor, (struct sockaddr *)&name, length) != 0) error = errno;
    if (error == EINPROGRESS) {
        struct pollfd wait = {.fd = descriptor, .events = POLLOUT};
        length = sizeof error;
        if (poll(&wait, 1, timeout_ms) != 1 || getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
            error = ETIMEDOUT;
    }
    if (error == 0) {
        /* A port in the ephemeral range may be met by its own connect; nobody listens there then. */
        int is_self = csys_local_endpoint(descriptor, &local) == 0 && local.port == to->port && local.low == to->low &&
                      local.high == to->high;
        result = is_self ? CSYS_PROBE_REFUSED : CSYS_PROBE_CONNECTED;
    } else if (error == ECONNREFUSED) {
        result = CSYS_PROBE_REFUSED;
    }
    close(descriptor);
    return result;
}

int csys_tcp_try(const csys_endpoint *local) {
    struct sockaddr_storage name;
    socklen_t length = csys_to_sockaddr(local, &name);
    int result = 0;
    int descriptor = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    /* As servers do it: what a connection has left behind on the port is no hindrance, a listener is. */
    csys_set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
    if (bind(descriptor, (struct sockaddr *)&name, length) != 0) result = -errno;
    close(descriptor);
    return result;
}

/* ---- who has connected ---- */

/* Describes what is behind a descriptor when it is a TCP connection with these ports of ours. */
static int csys_visitor_of(int descriptor, csys_visitor *out) {
    struct sockaddr_storage name;
    struct tcp_info info;
    csys_endpoint local;
    socklen_t length = sizeof name;
    if (csys_local_endpoint(descriptor, &local) != 0) return 0;
    if (getpeername(descriptor, (struct sockaddr *)&name, &length) != 0) return 0;
    if (!csys_from_sockaddr((struct sockaddr *)&name, &out->from)) return 0;
    memset(&info, 0, sizeof info);
    length = sizeof info;
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return 0;
    if (info.tcpi_state != TCP_ESTABLISHED) return 0;
    out->silence_ms = info.tcpi_last_data_recv;
    out->descriptor = descriptor;
    out->port = local.port;
    return 1;
}

int csys_visitors(const csys_endpoint *local, csys_visitor *out, int capacity) {
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL) return -errno;
    int count = 0;
    for (struct dirent *entry; count < capacity && (entry = readdir(folder)) != NULL;) {
        csys_visitor found;
        csys_endpoint bound;
        char *end;
        long descriptor = strtol(entry->d_name, &end, 10);
        if (end == entry->d_name || *end != 0) continue;
        if (csys_local_endpoint((int)descriptor, &bound) != 0) continue;
        if (bound.high != local->high || bound.low != local->low) continue;
        if (bound.port != local->port && bound.port != local->port + 1) continue;
        if (csys_visitor_of((int)descriptor, &found)) out[count++] = found;
    }
    closedir(folder);
    return count;
}

int csys_visitor_end(const csys_visitor *visitor) {
    csys_visitor found;
    /* What a descriptor means may change at any time; what its copy means does not. */
    int copy = fcntl(visitor->descriptor, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) return 0;
    int is_same = csys_visitor_of(copy, &found) && found.port == visitor->port && found.from.port == visitor->from.port &&
                  found.from.high == visitor->from.high && found.from.low == visitor->from.low;
    if (is_same) is_same = shutdown(copy, SHUT_RDWR) == 0;
    close(copy);
    return is_same;
}

/* ---- service manager ---- */

int64_t csys_monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int csys_notify_open(void) {
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return descriptor < 0 ? -errno : descriptor;
}

int csys_notify_send(int descriptor, const char *name, const char *text) {
    struct sockaddr_un to;
    size_t count = strlen(name);
    memset(&to, 0, sizeof to);
    if (count == 0 || count >= sizeof to.sun_path) return -ENAMETOOLONG;
    to.sun_family = AF_UNIX;
    memcpy(to.sun_path, name, count);
    /* An abstract name begins with a zero byte and has no end of its own; a path is measured with its zero. */
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + count + 1);
    if (name[0] == '@') {
        to.sun_path[0] = 0;
        size--;
    }
    ssize_t sent = sendto(descriptor, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to, size);
    return sent < 0 ? -errno : 0;
}

/* ---- threads ---- */

struct csys_start {
    void (*body)(void *);
    void *context;
};

static void *csys_thread_main(void *argument) {
    struct csys_start start = *(struct csys_start *)argument;
    free(argument);
    start.body(start.context);
    return NULL;
}

int csys_thread_start(uint64_t *thread, const char *name, void (*body)(void *), void *context) {
    _Static_assert(sizeof(pthread_t) == sizeof(uint64_t), "pthread_t is kept in 64 bits");
    struct csys_start *start = malloc(sizeof *start);
    sigset_t all, before;
    pthread_t created;
    if (start == NULL) return -ENOMEM;
    *start = (struct csys_start){.body = body, .context = context};
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&created, NULL, csys_thread_main, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        free(start);
        return -error;
    }
    pthread_setname_np(created, name);
    *thread = (uint64_t)created;
    return 0;
}

void csys_thread_join(uint64_t thread) { pthread_join((pthread_t)thread, NULL); }

/* ---- files ---- */

static void describe(const struct stat *found, csys_file *out) {
    out->mode = (uint32_t)found->st_mode;
    out->owner = (uint32_t)found->st_uid;
    out->names = found->st_nlink > UINT32_MAX ? UINT32_MAX : (uint32_t)found->st_nlink;
}

int csys_file_at(const char *path, int follows, csys_file *out) {
    struct stat found;
    if ((follows ? stat(path, &found) : lstat(path, &found)) != 0) return -errno;
    describe(&found, out);
    return 0;
}

int csys_file_of(int descriptor, csys_file *out) {
    struct stat found;
    if (fstat(descriptor, &found) != 0) return -errno;
    describe(&found, out);
    return 0;
}
