#include "agents/retry.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agents/conversation.h"

int retry_connect(int queue_directory)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    /* By its descriptor: the name of the directory may be longer than a socket's may be. */
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/private/retry",
             queue_directory);
    return conversation_connect(&address);
}
