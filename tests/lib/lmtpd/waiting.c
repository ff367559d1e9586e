/* Those who wait for an answer, the earliest first: a binary heap. See server.h. */

#include "tests/lib/lmtpd/server.h"

static void heap_put(struct server *server, size_t at, struct connection *connection)
{
    server->heap[at] = connection;
    connection->heap_index = at;
}

static void heap_settle(struct server *server, size_t at)
{
    struct connection *moving = server->heap[at];
    size_t child;

    while (at > 0 && server->heap[(at - 1) / 2]->due > moving->due) {
        heap_put(server, at, server->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    while ((child = 2 * at + 1) < server->heap_count) {
        if (child + 1 < server->heap_count &&
            server->heap[child + 1]->due < server->heap[child]->due)
            child++;
        if (server->heap[child]->due >= moving->due)
            break;
        heap_put(server, at, server->heap[child]);
        at = child;
    }
    heap_put(server, at, moving);
}

static void heap_remove(struct server *server, struct connection *connection)
{
    size_t at = connection->heap_index;

    if (at == SIZE_MAX)
        return;
    connection->heap_index = SIZE_MAX;
    server->heap_count--;
    if (at < server->heap_count) {
        heap_put(server, at, server->heap[server->heap_count]);
        heap_settle(server, at);
    }
}

void waiting_until(struct server *server, struct connection *connection, uint64_t due, int row)
{
    heap_remove(server, connection);
    connection->due = due;
    if (due != NEVER || row >= 0) {
        heap_put(server, server->heap_count++, connection);
        heap_settle(server, connection->heap_index);
    }
    if (connection->held_row == row)
        return;
    if (connection->held_row >= 0)
        server->figures[connection->held_row].holding--;
    connection->held_row = row;
    if (row >= 0 && ++server->figures[row].holding > server->figures[row].holding_max)
        server->figures[row].holding_max = server->figures[row].holding;
}

/* All being equal, the heap is still one. */
void waiting_release(struct server *server)
{
    for (size_t i = 0; i < server->heap_count; i++) {
        server->heap[i]->due = 0;
        server->heap[i]->released = true;
    }
}

int waiting_timeout(const struct server *server)
{
    uint64_t now;
    uint64_t due;

    if (server->heap_count == 0 || (due = server->heap[0]->due) == NEVER)
        return -1;
    now = clock_us(CLOCK_MONOTONIC);
    if (due <= now)
        return 0;
    due = (due - now + 999) / 1000;
    return due > 60000 ? 60000 : (int)due;
}

struct connection *waiting_due(const struct server *server, uint64_t now)
{
    return server->heap_count > 0 && server->heap[0]->due <= now ? server->heap[0] : NULL;
}
