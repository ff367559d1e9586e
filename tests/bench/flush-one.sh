#!/bin/sh
# A flush of much mail to one dead domain, beside good mail.

# shellcheck source=tests/lib/bench.sh
. "${0%/*}/../lib/bench.sh"
# shellcheck source=tests/lib/bench-flush.sh
. "$LIBRARY/bench-flush.sh"

flush 'one dead domain' 1 2000 before
