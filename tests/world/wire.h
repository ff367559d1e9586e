#ifndef TESTS_WORLD_WIRE_H
#define TESTS_WORLD_WIRE_H

/* What stock agents say, byte for byte (tests/unit/wire.h, which was captured), NULs included. */

#define WIRE_GREETING "protocol\0delivery_request_protocol\0\0"
#define WIRE_NO_DSN                                                                                \
    "status\0\0diag_type\0\0diag_text\0\0mta_type\0\0mta_mname\0\0action\0\0reason\0\0"
#define WIRE_DONE WIRE_NO_DSN "status\0000\0\0"
#define WIRE_DEFERRED WIRE_NO_DSN "status\0004294967295\0\0"

/* And with a DSN: a destination that was not reached; a text in which all can be told apart. */
#define WIRE_DSN_BEGIN                                                                             \
    "status\0004.4.1\0diag_type\0\0diag_text\0\0mta_type\0\0mta_mname\0\0action\0\0reason\0"
#define WIRE_DSN_END "\0status\0004294967295\0\0"

#endif
