#!/bin/sh
# A flush of mail to hundreds of dead domains of which nothing is known, and then good mail.

# shellcheck source=tests/lib/bench.sh
. "${0%/*}/../lib/bench.sh"
# shellcheck source=tests/lib/bench-flush.sh
. "$LIBRARY/bench-flush.sh"

flush '400 unseen dead domains' 400 5 after
