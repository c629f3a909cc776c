/* Conversions between sockaddr and csys_endpoint, shared by the C files of this target and not shown to Swift. */
#ifndef UNDERSTUDY_ADDRESSES_H
#define UNDERSTUDY_ADDRESSES_H

#include "CSockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* Linux values that older C library headers lack. */
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

/* Fills the sockaddr and answers its length. */
socklen_t csys_to_sockaddr(const csys_endpoint *endpoint, struct sockaddr_storage *out);
/* Answers 1, or 0 for a family that is neither IPv4 nor IPv6. */
int csys_from_sockaddr(const struct sockaddr *address, csys_endpoint *out);

#endif
