#include "agents/conversation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agents/greeting.h"

/* More than any request of ours has (agents/redirect.h). */
#define PIECES_MAX 8

int conversation_connect(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error;

    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0)
        return fd;
    error = -errno;
    close(fd);
    return error;
}

void conversation_begin(struct conversation *conversation, int fd)
{
    conversation->fd = fd;
    conversation->early_length = 0;
    conversation->sent = 0;
    conversation->reply = NULL;
    conversation->reply_length = 0;
}

void conversation_end(struct conversation *conversation)
{
    if (conversation->fd >= 0)
        close(conversation->fd);
    free(conversation->reply);
    conversation_begin(conversation, -1);
}

/* recv(2), with the end of the connection as an error like any other. */
static ssize_t receive(int fd, char *into, size_t room)
{
    ssize_t got = recv(fd, into, room, MSG_DONTWAIT);

    if (got > 0)
        return got;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return -EAGAIN;
    return -EPIPE;
}

int conversation_greeting(struct conversation *conversation, size_t *length)
{
    ssize_t got = receive(conversation->fd, conversation->early + conversation->early_length,
                          sizeof conversation->early - conversation->early_length);
    int result;

    if (got < 0)
        return (int)got;
    conversation->early_length += (size_t)got;
    result = greeting_parse(conversation->early, conversation->early_length, length);
    if (result == 0 && *length == conversation->early_length)
        return 0;
    return result == -EAGAIN ? -EAGAIN : -EBADMSG;
}

int conversation_request(struct conversation *conversation, const struct iovec *pieces,
                         unsigned count)
{
    struct iovec left[PIECES_MAX];

    for (;;) {
        size_t skip = conversation->sent;
        struct msghdr header = {.msg_iov = left};
        ssize_t sent;

        for (unsigned i = 0; i < count; i++) {
            size_t done = skip < pieces[i].iov_len ? skip : pieces[i].iov_len;

            skip -= done;
            if (done < pieces[i].iov_len)
                left[header.msg_iovlen++] = (struct iovec){
                    .iov_base = (char *)pieces[i].iov_base + done,
                    .iov_len = pieces[i].iov_len - done,
                };
        }
        if (header.msg_iovlen == 0)
            return 0;
        sent = sendmsg(conversation->fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0)
            conversation->sent += (size_t)sent;
        else if (errno == EAGAIN)
            return -EAGAIN;
        else if (errno == EPIPE && conversation->sent == 0)
            return -EPIPE;
        else if (errno != EINTR) {
            /* Should it not be gone (no memory in the kernel): half a request is never followed by
             * the wait for an answer. What it said before can still be read. */
            shutdown(conversation->fd, SHUT_RDWR);
            return 0;
        }
    }
}

/* Keeps bytes of a reply behind those that came before. */
static int keep(struct conversation *conversation, const char *bytes, size_t length)
{
    char *larger = realloc(conversation->reply, conversation->reply_length + length);

    if (!larger)
        return -ENOMEM;
    memcpy(larger + conversation->reply_length, bytes, length);
    conversation->reply = larger;
    conversation->reply_length += length;
    return 0;
}

int conversation_reply(struct conversation *conversation, char *scratch, size_t size,
                       struct reply *reply, const char **bytes)
{
    ssize_t got = receive(conversation->fd, scratch, size);
    size_t length;
    int result;

    if (got < 0)
        return (int)got;
    length = (size_t)got;
    *bytes = scratch;
    if (conversation->reply) {
        if (keep(conversation, scratch, length) < 0)
            return -EBADMSG;
        *bytes = conversation->reply;
        length = conversation->reply_length;
    }
    result = reply_parse(*bytes, length, reply);
    if (result == 0)
        return reply->length == length ? 0 : -EBADMSG;
    if (result == -EAGAIN && (conversation->reply || keep(conversation, scratch, length) == 0))
        return -EAGAIN;
    return -EBADMSG;
}
