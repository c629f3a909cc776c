/* Batches of datagrams: recvmmsg into reused slots, sendmmsg from the caller's buffer. Nothing is allocated after
 * creation.
 *
 * The receive slots are one anonymous mapping: 32 slots of 64 KiB are 2 MiB of address space, of which only the pages
 * that datagrams have touched are memory. So no datagram is ever truncated by a small buffer, at no cost. */
#define _GNU_SOURCE
#include "CSockets.h"
#include "Addresses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>

enum { CSYS_SLOTS = 64, CSYS_CONTROL = 64 };

/* struct mmsghdr is what the kernel takes; the layout is asserted because Swift and other tools see only ours. */
_Static_assert(sizeof(struct mmsghdr) == sizeof(struct msghdr) + 8, "mmsghdr: a msghdr, a 32-bit length, padding");
_Static_assert(CSYS_CONTROL >= CMSG_SPACE(sizeof(struct timespec)), "room for the receive time");

struct csys_receive_batch {
    int slots;
    int slot_bytes;
    int64_t now; /* CLOCK_REALTIME after the last receive: the clock of SCM_TIMESTAMPNS */
    uint8_t *memory;
    struct mmsghdr headers[CSYS_SLOTS];
    struct iovec vectors[CSYS_SLOTS];
    struct sockaddr_storage names[CSYS_SLOTS];
    _Alignas(struct cmsghdr) uint8_t controls[CSYS_SLOTS][CSYS_CONTROL];
};

csys_receive_batch *csys_receive_batch_create(int slots, int slot_bytes) {
    if (slots < 1 || slots > CSYS_SLOTS || slot_bytes < 1) return NULL;
    csys_receive_batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL) return NULL;
    batch->slots = slots;
    batch->slot_bytes = slot_bytes;
    void *memory = mmap(NULL, (size_t)slots * (size_t)slot_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        free(batch);
        return NULL;
    }
    batch->memory = memory;
    for (int i = 0; i < slots; i++) {
        batch->vectors[i] = (struct iovec){batch->memory + (size_t)i * (size_t)slot_bytes, (size_t)slot_bytes};
        batch->headers[i].msg_hdr.msg_iov = &batch->vectors[i];
        batch->headers[i].msg_hdr.msg_iovlen = 1;
        batch->headers[i].msg_hdr.msg_name = &batch->names[i];
        batch->headers[i].msg_hdr.msg_control = batch->controls[i];
    }
    return batch;
}

void csys_receive_batch_destroy(csys_receive_batch *batch) {
    munmap(batch->memory, (size_t)batch->slots * (size_t)batch->slot_bytes);
    free(batch);
}

int csys_receive(csys_receive_batch *batch, int descriptor) {
    for (int i = 0; i < batch->slots; i++) {
        batch->headers[i].msg_hdr.msg_namelen = sizeof batch->names[i];
        batch->headers[i].msg_hdr.msg_controllen = CSYS_CONTROL;
    }
    int count;
    do count = recvmmsg(descriptor, batch->headers, (unsigned)batch->slots, MSG_DONTWAIT, NULL);
    while (count < 0 && errno == EINTR);
    if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
    batch->now = csys_realtime();
    return count;
}

csys_datagram csys_received(const csys_receive_batch *batch, int index) {
    /* CMSG_NXTHDR wants a writable header; it does not write. */
    struct msghdr *header = (struct msghdr *)&batch->headers[index].msg_hdr;
    csys_datagram out = {.bytes = batch->vectors[index].iov_base, .count = batch->headers[index].msg_len};
    out.is_truncated = (header->msg_flags & MSG_TRUNC) != 0;
    csys_from_sockaddr((const struct sockaddr *)&batch->names[index], &out.from);
    for (struct cmsghdr *item = CMSG_FIRSTHDR(header); item != NULL; item = CMSG_NXTHDR(header, item)) {
        if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_TIMESTAMPNS) continue;
        struct timespec stamp;
        memcpy(&stamp, CMSG_DATA(item), sizeof stamp);
        int64_t age = batch->now - ((int64_t)stamp.tv_sec * 1000000000 + stamp.tv_nsec);
        out.age = age > 0 ? age : 0;
        out.has_time = 1;
    }
    return out;
}

struct csys_send_batch {
    int slots;
    int count;
    struct mmsghdr headers[CSYS_SLOTS];
    struct iovec vectors[CSYS_SLOTS];
    struct sockaddr_storage names[CSYS_SLOTS];
};

csys_send_batch *csys_send_batch_create(int slots) {
    if (slots < 1 || slots > CSYS_SLOTS) return NULL;
    csys_send_batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL) return NULL;
    batch->slots = slots;
    for (int i = 0; i < slots; i++) {
        batch->headers[i].msg_hdr.msg_iov = &batch->vectors[i];
        batch->headers[i].msg_hdr.msg_iovlen = 1;
        batch->headers[i].msg_hdr.msg_name = &batch->names[i];
    }
    return batch;
}

void csys_send_batch_destroy(csys_send_batch *batch) { free(batch); }

int csys_send_add(csys_send_batch *batch, const uint8_t *bytes, uint32_t count, const csys_endpoint *to) {
    if (batch->count >= batch->slots) return 0;
    int i = batch->count++;
    batch->vectors[i] = (struct iovec){(void *)(uintptr_t)bytes, count};
    batch->headers[i].msg_hdr.msg_namelen = csys_to_sockaddr(to, &batch->names[i]);
    return batch->slots - batch->count;
}

int csys_send(csys_send_batch *batch, int descriptor, int first) {
    if (first >= batch->count) return 0;
    int sent;
    unsigned left = (unsigned)(batch->count - first);
    do sent = sendmmsg(descriptor, batch->headers + first, left, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

int csys_send_count(const csys_send_batch *batch) { return batch->count; }
void csys_send_clear(csys_send_batch *batch) { batch->count = 0; }
