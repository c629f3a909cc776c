/* CSockets: the Linux calls that Swift's Glibc module does not show (recvmmsg, sendmmsg, ppoll, eventfd,
 * SCM_TIMESTAMPNS, IP_FREEBIND) and those whose C structures are unpleasant to build from Swift (sockaddr, msghdr,
 * ifaddrs, pthread).
 *
 * Design: C owns every structure with a layout; Swift sees plain numbers and one kind of address. Nothing here decides
 * anything: each function is a system call or a small fixed sequence of them, and answers a count or a negative errno.
 *
 * Limits: Linux only. The scope of a link-local IPv6 address is not kept, so such addresses cannot be listened on. */
#ifndef UNDERSTUDY_CSYSTEM_H
#define UNDERSTUDY_CSYSTEM_H

#include <poll.h>
#include <stdint.h>

/* An address with a port. IPv4: `low` holds the 32 bits in host order, `high` is 0. IPv6: the halves in host order. */
typedef struct {
    uint64_t high;
    uint64_t low;
    uint16_t port;
    uint8_t is_ipv6;
} csys_endpoint;

/* Reads "10.0.0.1" or "::1" (no brackets) into `out`, port 0; answers 0, or -EINVAL. */
int csys_parse_address(const char *text, csys_endpoint *out);

/* ---- clocks: nanoseconds ---- */
int64_t csys_boottime(void); /* CLOCK_BOOTTIME: goes on while the host is suspended, never steps */
int64_t csys_realtime(void); /* CLOCK_REALTIME */
int64_t csys_process_cpu(void); /* CLOCK_PROCESS_CPUTIME_ID */

/* ---- UDP ---- */
enum { CSYS_STEP_SOCKET = 1, CSYS_STEP_OPTION = 2, CSYS_STEP_BIND = 3 };

/* Opens a non-blocking UDP socket with kernel receive times and large buffers, bound to `local`. With `freebind` the
 * address need not be on this host (yet). Answers the descriptor, or -errno with the step that failed. */
int csys_udp_open(const csys_endpoint *local, int freebind, int buffer_bytes, int *step);
/* The endpoint a socket is bound to; 0 or -errno. */
int csys_local_endpoint(int descriptor, csys_endpoint *out);
/* The receive buffer the kernel granted, in bytes (twice the payload it holds), or -errno. */
int csys_receive_buffer(int descriptor);
/* Datagrams that the kernel has dropped because the receive buffer was full; 0 where it does not say. */
int64_t csys_receive_drops(int descriptor);

/* One received datagram. `bytes` is valid until the next receive into the same batch. */
typedef struct {
    const uint8_t *bytes;
    uint32_t count;
    uint8_t is_truncated; /* the datagram was longer than the slot */
    uint8_t has_time;
    int64_t age; /* ns between the kernel's receive time and this receive; 0 without a time or if the clock stepped */
    csys_endpoint from;
} csys_datagram;

typedef struct csys_receive_batch csys_receive_batch;
/* `slots` (1...64) buffers of `slot_bytes` each, as untouched virtual memory; NULL when there is none. */
csys_receive_batch *csys_receive_batch_create(int slots, int slot_bytes);
void csys_receive_batch_destroy(csys_receive_batch *batch);
/* Takes what waits on the socket, without blocking: the number of datagrams, 0 when none waits, or -errno. */
int csys_receive(csys_receive_batch *batch, int descriptor);
/* Describes datagram `index` of the last receive. */
csys_datagram csys_received(const csys_receive_batch *batch, int index);

typedef struct csys_send_batch csys_send_batch;
csys_send_batch *csys_send_batch_create(int slots);
void csys_send_batch_destroy(csys_send_batch *batch);
/* Adds a datagram; the bytes must stay where they are until csys_send. Answers the number of free slots left. */
int csys_send_add(csys_send_batch *batch, const uint8_t *bytes, uint32_t count, const csys_endpoint *to);
/* Sends the datagrams from number `first` on, without blocking: how many went (stopping at the first that fails), or
 * -errno when number `first` itself cannot be sent. The batch is kept. */
int csys_send(csys_send_batch *batch, int descriptor, int first);
int csys_send_count(const csys_send_batch *batch);
void csys_send_clear(csys_send_batch *batch);

/* ---- waiting ---- */
/* poll with a timeout in nanoseconds (negative: for ever): ready descriptors, 0 at the timeout and after a signal, or
 * -errno. */
int csys_poll(struct pollfd *descriptors, int count, int64_t timeout);
int csys_event_create(void); /* eventfd, non-blocking; -errno */
void csys_event_kick(int descriptor);
void csys_event_clear(int descriptor);
void csys_close(int descriptor);

/* ---- who has connected ---- */
typedef struct {
    csys_endpoint from;
    int64_t silence_ms; /* since the last bytes came, or since it was accepted */
    int32_t descriptor;
    uint16_t port; /* ours */
} csys_visitor;
/* TCP connections that this process has accepted on `local` or on the port after it, by looking through its
 * descriptors: whoever accepted them need not tell. At most `capacity`; the number written, or -errno. */
int csys_visitors(const csys_endpoint *local, csys_visitor *out, int capacity);
/* Ends one of them, unless its descriptor belongs to something else by now. Whoever owns it sees the end and closes it.
 * Answers 1, or 0 when it was gone. */
int csys_visitor_end(const csys_visitor *visitor);

/* ---- host ---- */
/* This host's addresses, ports 0, at most `capacity` of them; the number written, or -errno. */
int csys_host_addresses(csys_endpoint *out, int capacity);

/* ---- TCP probe ---- */
enum { CSYS_PROBE_CONNECTED = 0, CSYS_PROBE_REFUSED = 1, CSYS_PROBE_SILENT = 2 };
/* Connects and closes at once; blocks for at most `timeout_ms`. */
int csys_tcp_probe(const csys_endpoint *to, int timeout_ms);

/* Whether this host could listen for TCP at an address now; the socket is closed at once. 0, or -errno. */
int csys_tcp_try(const csys_endpoint *local);

/* ---- service manager ---- */
int64_t csys_monotonic(void); /* CLOCK_MONOTONIC, which systemd compares with */
/* Opens a non-blocking datagram socket of AF_UNIX, or -errno. */
int csys_notify_open(void);
/* Sends one datagram to the socket of a name of at most 107 bytes; one that begins with '@' is abstract. Without
 * waiting: 0, or -errno. */
int csys_notify_send(int descriptor, const char *name, const char *text);

/* ---- files ---- */
typedef struct {
    uint32_t mode; /* st_mode: kind and permissions */
    uint32_t owner;
    uint32_t names; /* st_nlink */
} csys_file;
/* What stands at a path; of a symbolic link itself unless `follows`. 0, or -errno. */
int csys_file_at(const char *path, int follows, csys_file *out);
int csys_file_of(int descriptor, csys_file *out);

/* ---- threads ---- */
/* Starts a thread with every signal blocked (signals are the main thread's), named with at most 15 bytes; 0 or
 * -errno. */
int csys_thread_start(uint64_t *thread, const char *name, void (*body)(void *), void *context);
void csys_thread_join(uint64_t thread);

#endif
