#include "agents/redirect.h"

#include "agents/conversation.h"
#include "agents/limits.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* One to three digits and the character behind them. */
static const char *number(const char *text, char end)
{
    size_t digits = strspn(text, "0123456789");

    return digits >= 1 && digits <= 3 && text[digits] == end ? text + digits + 1 : NULL;
}

static bool text_valid(const char *text)
{
    const char *reason;

    if (strnlen(text, REDIRECT_TEXT_MAX + 1) > REDIRECT_TEXT_MAX || strncmp(text, "4.", 2) != 0)
        return false;
    reason = number(text + 2, '.');
    if (reason != NULL)
        reason = number(reason, ' ');
    if (reason == NULL || *reason == '\0' || *reason == ' ')
        return false;
    for (; *reason != '\0'; reason++)
        if (*reason < ' ' || *reason > '~')
            return false;
    return true;
}

/* writev(2) only reads, but its struct has no const. */
static struct iovec piece(const char *bytes, size_t size)
{
    union {
        const char *from;
        void *to;
    } pass = {.from = bytes};

    return (struct iovec){.iov_base = pass.to, .iov_len = size};
}

int redirect_request(const struct request *request, const char *bytes, const char *text,
                     struct iovec pieces[REDIRECT_PIECES], size_t *size)
{
    size_t behind = request->nexthop.offset + request->nexthop.len;

    if (request->result != 0 || request->length == 0 || !text_valid(text))
        return -EINVAL;
    pieces[0] = piece(bytes, request->nexthop.offset);
    pieces[1] = piece(text, strlen(text));
    pieces[2] = piece(bytes + behind, request->length - behind);
    *size = pieces[0].iov_len + pieces[1].iov_len + pieces[2].iov_len;
    return 0;
}

int redirect_connect(int queue_directory)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    /* By its descriptor: the name of the directory may be longer than a socket's may be. */
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/private/retry",
             queue_directory);
    return conversation_connect(&address);
}
