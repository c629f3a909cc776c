// How many blocks of memory this process has asked for: the benchmark links this, and nothing else does.
#ifndef CALLOCATIONS_H
#define CALLOCATIONS_H

#include <stdint.h>

/// Blocks asked for since the process began, over all threads.
uint64_t callocations_count(void);

#endif
