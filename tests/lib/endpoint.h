#ifndef TESTS_LIB_ENDPOINT_H
#define TESTS_LIB_ENDPOINT_H

/*
 * Where a tool listens or connects: ADDRESS:PORT (IPv4, in numbers), [ADDRESS]:PORT (IPv6) or the path of a unix socket. Header only: a few
 * tools and their unit test have a use for it.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

struct endpoint {
    socklen_t length;
    union {
        struct sockaddr any;
        struct sockaddr_in inet;
        struct sockaddr_in6 inet6;
        struct sockaddr_un local;
    } address;
};

/* 0, or -EINVAL. A text with a slash is a path. */
static inline int endpoint_parse(const char *text, struct endpoint *endpoint)
{
    const char *colon = strrchr(text, ':');
    char host[INET6_ADDRSTRLEN + 2];
    char *end;
    unsigned long port;

    memset(endpoint, 0, sizeof(*endpoint));
    if (strchr(text, '/') != NULL) {
        if (strlen(text) >= sizeof(endpoint->address.local.sun_path))
            return -EINVAL;
        endpoint->address.local.sun_family = AF_UNIX;
        memcpy(endpoint->address.local.sun_path, text, strlen(text) + 1);
        endpoint->length = sizeof(endpoint->address.local);
        return 0;
    }
    if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
        return -EINVAL;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    errno = 0;
    port = strtoul(colon + 1, &end, 10);
    if (errno != 0 || end == colon + 1 || *end != '\0' || port == 0 || port > UINT16_MAX)
        return -EINVAL;
    if (colon > text && host[0] == '[' && colon[-1] == ']') {
        host[colon - text - 1] = '\0';
        endpoint->address.inet6.sin6_family = AF_INET6;
        endpoint->address.inet6.sin6_port = htons((uint16_t)port);
        endpoint->length = sizeof(endpoint->address.inet6);
        return inet_pton(AF_INET6, host + 1, &endpoint->address.inet6.sin6_addr) == 1 ? 0 : -EINVAL;
    }
    if (inet_pton(AF_INET, host, &endpoint->address.inet.sin_addr) != 1)
        return -EINVAL;
    endpoint->address.inet.sin_family = AF_INET;
    endpoint->address.inet.sin_port = htons((uint16_t)port);
    endpoint->length = sizeof(endpoint->address.inet);
    return 0;
}

#endif
