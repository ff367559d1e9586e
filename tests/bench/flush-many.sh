#!/bin/sh
# A flush of mail to many dead domains, beside good mail.

# shellcheck source=tests/lib/bench.sh
. "${0%/*}/../lib/bench.sh"
# shellcheck source=tests/lib/bench-flush.sh
. "$LIBRARY/bench-flush.sh"

flush '40 dead domains' 40 100 before
