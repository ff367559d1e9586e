/*
 * Postfix makes each of the two buffers of a TCP connection twice as large as its segments, and
 * writes to all of it. On the loopback interface a segment has 64 kB, and a worker had 0.3 MB of
 * buffers, which it got from the kernel with each message and gave back. So its connections have
 * segments of SEGMENT_MOST at most. Those of other networks are no larger. A message is written in
 * pieces of 16 kB then; across an Ethernet those of stock have 4 kB.
 */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>

#include "agents/template/parts.h"

/* Bytes. Frames of 9000, the largest in use, have segments of 8948. */
#define SEGMENT_MOST 8948

__attribute__((visibility("default"))) int connect(int fd, const struct sockaddr *address,
                                                   socklen_t length);

int connect(int fd, const struct sockaddr *address, socklen_t length)
{
    static int (*real)(int fd, const struct sockaddr *address, socklen_t length);
    int most = SEGMENT_MOST, error = errno;

    if (!real)
        *(void **)&real = template_symbol("connect");
    /* It fails for what is not TCP. */
    if (address && (address->sa_family == AF_INET || address->sa_family == AF_INET6))
        (void)setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &most, sizeof most);
    errno = error;
    return real(fd, address, length);
}
