#ifndef SUPERVISOR_DISPATCHER_DISPATCHER_MODULES_H
#define SUPERVISOR_DISPATCHER_DISPATCHER_MODULES_H

/*
 * The modules on the way of a request, made of the settings and wired to the router: what each is
 * given, and where its events go; and what reports see of them. Internal to dispatcher.c.
 */

#include "supervisor/dispatcher/dispatcher.h"
#include "supervisor/dispatcher/router.h"
#include "supervisor/dispatcher/sockets.h"
#include "supervisor/report/view.h"

/*
 * Creates clients, parts, admission, fleet, retry and regulator. The router has all else that it
 * needs. 0 or a negative errno; then dispatcher_modules_destroy() is still to be called.
 */
int dispatcher_modules_create(struct router *router, const struct dispatcher_settings *settings,
                              struct sockets *sockets);

/* Harmless for modules that were not created. */
void dispatcher_modules_destroy(struct router *router);

/* The dispatcher as reports see it, at this moment. */
struct report_view dispatcher_view(const struct router *router,
                                   const struct dispatcher_settings *settings);

#endif
