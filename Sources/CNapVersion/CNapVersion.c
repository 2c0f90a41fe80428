#include "CNapVersion.h"

#ifndef NAP_COMMIT
#define NAP_COMMIT ""
#endif

const char *nap_commit(void) { return NAP_COMMIT; }
