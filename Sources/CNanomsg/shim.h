/* nanomsg as Swift sees it: the library's own header, the socket types (macros of three terms, which the importer
 * skips), and the calls that take untyped pointers, with types. */
#ifndef UNDERSTUDY_CNANOMSG_SHIM_H
#define UNDERSTUDY_CNANOMSG_SHIM_H

#include <nanomsg/nn.h>
#include <nanomsg/pubsub.h>
#include <nanomsg/reqrep.h>
#include <nanomsg/tcp.h>
#include <stddef.h>
#include <stdint.h>

static const int32_t CNN_PUB = NN_PUB;
static const int32_t CNN_SUB = NN_SUB;
static const int32_t CNN_REQ = NN_REQ;
static const int32_t CNN_REP = NN_REP;

/* Receives a message into a buffer of the library, to be given back with nn_freemsg. */
static inline int cnn_receive(int socket, void **message) { return nn_recv(socket, (void *)message, NN_MSG, 0); }

static inline int cnn_set_int(int socket, int level, int option, int value) {
    return nn_setsockopt(socket, level, option, &value, sizeof value);
}

/* Every topic: an empty prefix. */
static inline int cnn_subscribe_all(int socket) { return nn_setsockopt(socket, NN_SUB, NN_SUB_SUBSCRIBE, "", 0); }

#endif
