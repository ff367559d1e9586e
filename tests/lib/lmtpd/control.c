/* The commands of the test to the LMTP server, and its figures. See server.h. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/lib/lmtpd/server.h"

#define TELL_TIMEOUT 5 /* s */

static size_t print_figures(const struct server *server, char *text, size_t size)
{
    const struct figures *figures;
    size_t length;

    length = (size_t)snprintf(
        text, size,
        "connections %llu\nopen %llu\nopen.max %llu\nrefused %llu\nabandoned %llu\n"
        "messages %llu\ndelivered %llu\nbounced %llu\n",
        (unsigned long long)server->connections, (unsigned long long)server->open,
        (unsigned long long)server->open_max, (unsigned long long)server->refused,
        (unsigned long long)server->abandoned, (unsigned long long)server->messages,
        (unsigned long long)server->delivered, (unsigned long long)server->bounced);
    for (int i = 0; i < BEHAVIOUR_COUNT; i++) {
        figures = &server->figures[i];
        length +=
            (size_t)snprintf(text + length, size - length,
                             "%s.recipients %llu\n%s.holding %llu\n%s.holding.max %llu\n",
                             server->behaviours[i].name, (unsigned long long)figures->recipients,
                             server->behaviours[i].name, (unsigned long long)figures->holding,
                             server->behaviours[i].name, (unsigned long long)figures->holding_max);
    }
    return length;
}

void control_write_figures(const struct server *server)
{
    char text[CONTROL_MAX];
    FILE *file;

    if (server->stats_path == NULL)
        return;
    file = fopen(server->stats_path, "we");
    if (file == NULL) {
        perror(server->stats_path);
        return;
    }
    fwrite(text, 1, print_figures(server, text, sizeof(text)), file);
    fclose(file);
}

/* A number of seconds, as us. */
static int parse_seconds(const char *text, uint64_t *us)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end != '\0' || !(seconds >= 0 && seconds < 1e9))
        return -EINVAL;
    *us = (uint64_t)(seconds * 1e6);
    return 0;
}

static int parse_count(const char *text, unsigned *count)
{
    uint64_t us;

    if (parse_seconds(text, &us) < 0)
        return -EINVAL;
    *count = us > RECIPIENTS_MAX * UINT64_C(1000000) ? RECIPIENTS_MAX : (unsigned)(us / 1000000U);
    return 0;
}

static int parse_switch(const char *text, bool *on)
{
    *on = strcmp(text, "on") == 0;
    return *on || strcmp(text, "off") == 0 ? 0 : -EINVAL;
}

static int control_set(struct server *server, const char *name, const char *as, const char *hold)
{
    uint64_t us = UINT64_MAX;

    if (hold != NULL && parse_seconds(hold, &us) < 0)
        return -EINVAL;
    return behaviour_set(server->behaviours, name, as, us);
}

size_t control_obey(struct server *server, char *text, char *reply, size_t size)
{
    char *rest = NULL;
    const char *word[5] = {NULL};
    unsigned words = 0;
    bool on;
    int result = -EINVAL;

    for (char *w = strtok_r(text, " \t\n", &rest); w != NULL && words < 4;
         w = strtok_r(NULL, " \t\n", &rest))
        word[words++] = w;
    if (words == 1 && strcmp(word[0], "stats") == 0)
        return print_figures(server, reply, size);
    if (words >= 3 && strcmp(word[0], "set") == 0) {
        result = control_set(server, word[1], word[2], word[3]);
    } else if (words == 1 && strcmp(word[0], "heal") == 0) {
        behaviour_heal(server->behaviours);
        server->greet_delay = 0;
        server->greet_close = false;
        server->refuse_percent = 0;
        server->recipients_most = server->replies_most = server->queue_most = 0;
        waiting_release(server);
        result = listener_start(server);
    } else if (words == 1 && strcmp(word[0], "release") == 0) {
        waiting_release(server);
        result = 0;
    } else if (words == 1 && strcmp(word[0], "quit") == 0) {
        server->quit = true;
        result = 0;
    } else if (words == 2 && strcmp(word[0], "greet-delay") == 0) {
        result = parse_seconds(word[1], &server->greet_delay);
    } else if (words == 2 && strcmp(word[0], "greet-close") == 0) {
        result = parse_switch(word[1], &server->greet_close);
    } else if (words == 2 && strcmp(word[0], "in-turn") == 0) {
        result = parse_switch(word[1], &server->in_turn);
    } else if (words == 2 && strcmp(word[0], "extensions") == 0) {
        result = parse_switch(word[1], &server->extensions);
    } else if (words == 2 && strcmp(word[0], "refuse") == 0) {
        result = parse_count(word[1], &server->refuse_percent);
    } else if (words == 2 && strcmp(word[0], "recipients") == 0) {
        result = parse_count(word[1], &server->recipients_most);
    } else if (words == 2 && strcmp(word[0], "queue") == 0) {
        result = parse_count(word[1], &server->queue_most);
    } else if (words == 2 && strcmp(word[0], "replies") == 0) {
        result = parse_count(word[1], &server->replies_most);
    } else if (words == 2 && strcmp(word[0], "listen") == 0) {
        result = parse_switch(word[1], &on);
        if (result == 0 && on)
            result = listener_start(server);
        else if (result == 0)
            listener_stop(server);
    }
    return (size_t)snprintf(reply, size, "%s\n", result < 0 ? "error" : "ok");
}

void control_serve(struct server *server)
{
    struct sockaddr_un client;
    socklen_t client_length = sizeof(client);
    char text[CONTROL_MAX];
    char reply[CONTROL_MAX];
    ssize_t length = recvfrom(server->control, text, sizeof(text) - 1, 0,
                              (struct sockaddr *)&client, &client_length);
    size_t reply_length;

    if (length < 0)
        return;
    text[length] = '\0';
    reply_length = control_obey(server, text, reply, sizeof(reply));
    if (sendto(server->control, reply, reply_length, 0, (struct sockaddr *)&client, client_length) <
        0)
        perror("lmtpd: control");
}

int control_tell(const char *path, char **words, int count)
{
    struct sockaddr_un own = {.sun_family = AF_UNIX};
    struct timeval timeout = {.tv_sec = TELL_TIMEOUT};
    struct endpoint server;
    char text[CONTROL_MAX] = "";
    size_t used = 0;
    ssize_t length = -1;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    for (int i = 0; i < count && used < sizeof(text); i++)
        used +=
            (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i == 0 ? "" : " ", words[i]);
    /* Bound to an address that the kernel chooses, so that it can be answered. */
    if (fd >= 0 && endpoint_parse(path, &server) == 0 && used < sizeof(text) &&
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0 &&
        bind(fd, (struct sockaddr *)&own, sizeof(own.sun_family)) == 0 &&
        sendto(fd, text, used, 0, &server.address.any, server.length) >= 0)
        length = recv(fd, text, sizeof(text), 0);
    if (length < 0)
        fprintf(stderr, "lmtpd: %s: %s\n", path, strerror(errno));
    else
        fwrite(text, 1, (size_t)length, stdout);
    if (fd >= 0)
        close(fd);
    return length < 0 || strncmp(text, "error", 5) == 0 ? 1 : 0;
}
