#include <string.h>

#include "supervisor/config/config_walk.h"

/*
 * Programs in daemon_directory that take no delivery requests (postfix(1), 3.4 to 3.11). Most of
 * them end at once as a worker, but not all: a second qmgr(8) moves the mail that the first one has
 * in its hands. Programs that are not listed may be agents of the operator's own.
 */
static const char *const others[] = {
    "anvil",
    "bounce",
    "cleanup",
    "dnsblog",
    "flush",
    "fsstone",
    "headroom",
    "master",
    "nqmgr",
    "oqmgr",
    "pickup",
    "post-install",
    "postlogd",
    "postfix-script",
    "postfix-tls-script",
    "postscreen",
    "postfix-wrapper",
    "postmulti-script",
    "proxymap",
    "qmgr",
    "qmqpd",
    "scache",
    "showq",
    "smtpd",
    "spawn",
    "tlsmgr",
    "tlsproxy",
    "trivial-rewrite",
    "verify",
};

void config_agent_check(struct config_walk *walk, const struct config_values *values,
                        enum config_layer least)
{
    const struct config_key *key = config_key_find("agent");
    enum config_severity severity = config_walk_severity(walk);
    size_t count;
    size_t number;

    if (key == NULL)
        return;
    number = (size_t)(key - config_keys(&count));
    if (values->layer[number] < least)
        return;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strcmp(values->config.agent, others[i]) == 0 && config_walk_wanted(walk, severity))
            config_walk_say(walk, severity, values->offset[number],
                            "agent is \"%s\" but must be a delivery agent, such as lmtp",
                            others[i]);
}
