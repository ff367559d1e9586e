#ifndef TESTS_LIB_LIMIT_DEFAULTS_H
#define TESTS_LIB_LIMIT_DEFAULTS_H

/* Settings of the limit for tests, simulators and benchmarks: the defaults of the keys, but for `min`. */

#define LIMIT_DEFAULT_MIN 2
#define LIMIT_DEFAULT_HOLD 0.005
#define LIMIT_DEFAULT_TARGET 0.01
#define LIMIT_DEFAULT_FULL 0.10
#define LIMIT_DEFAULT_SHED_AFTER 10.0

#endif
