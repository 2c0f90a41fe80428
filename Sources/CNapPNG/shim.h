#ifndef CNAPPNG_SHIM_H
#define CNAPPNG_SHIM_H
#include <png.h>
#include <string.h>
#include <zlib.h>
#endif
