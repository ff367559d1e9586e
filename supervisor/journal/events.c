#include "supervisor/journal/events.h"

#include <stddef.h>

static const struct {
    const char *message_id;
    const char *name;
} table[EVENTS] = {
    [EVENT_START] = {"810e2b52472d427bbe088fe3340130a6", "start"},
    [EVENT_EXIT] = {"b7d864502f3e44c68e879c3891402b5f", "exit"},
    [EVENT_CONFIGURATION] = {"6d0f25989b8e4fe88d9e3743c11191c5", "configuration"},
    [EVENT_SETUP] = {"bc2fb94423ab4739984e02bc3fe55881", "setup"},
    [EVENT_WORKER_START_FAILED] = {"1c82191c9ce0410291458aa893f49c84", "worker-start-failed"},
    [EVENT_WORKER_STARTS_AGAIN] = {"407496bf23e64f29bfe7a484fdbc82b1", "worker-starts-again"},
    [EVENT_WORKER_LOST] = {"a0683fd3c6544914897571bcddd968e7", "worker-lost"},
    [EVENT_REQUEST_REFUSED] = {"0a3c22d99ced406f869b2af3df723bfb", "request-refused"},
    [EVENT_DESCRIPTORS] = {"bfff5b51cd254c1ca76c20da076e2ca5", "descriptors"},
    [EVENT_SECOND_PROCESS] = {"58f663acfdea4f828403da393eed954a", "second-process"},
    [EVENT_STATE] = {"3dd3be60215a4fb0b8b77483f745791a", "state"},
    [EVENT_SUMMARY] = {"1e9f368c7ae34ad09189721a067c3d44", "summary"},
    [EVENT_GROUP] = {"f2b358ad42c449b5912992732f01e824", "group"},
    [EVENT_STATE_FILE] = {"8fb7592ebce042519078d63d61290dca", "state-file"},
    [EVENT_RETRY_UNREACHABLE] = {"30c867797e744d08903227947d92c6ab", "retry-unreachable"},
    [EVENT_AGE_UNKNOWN] = {"998960cb132b4834a561f230a457b638", "age-unknown"},
    [EVENT_FORKS] = {"6c454fd31d3ef0ede8f9cfc53d3420ea", "forks"},
    [EVENT_NEXTHOP_DOWN] = {"98dae821e1fab8afbd2c2c0f9324e4c2", "nexthop-down"},
    [EVENT_NEXTHOP_UP] = {"a1405d34477b3ccda9817bb62de8877e", "nexthop-up"},
    [EVENT_NEXTHOP_CROWDED] = {"639876f3802d4e18be69cb32c4b70d53", "nexthop-crowded"},
    [EVENT_QUEUE] = {"860549ee698c4615a35f61beda23f3d6", "queue"},
    [EVENT_HOLDS] = {"3c2dbc2a783a4ec38214048be94df82c", "holds"},
    [EVENT_LINES_LOST] = {"0dd274c6cdc347a7be7eb6b3e82375c0", "lines-lost"},
};

const char *event_message_id(enum journal_event event)
{
    return table[event].message_id;
}

const char *event_name(enum journal_event event)
{
    return table[event].name;
}
