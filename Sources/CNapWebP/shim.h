#ifndef CNAPWEBP_SHIM_H
#define CNAPWEBP_SHIM_H
#include <webp/decode.h>
#endif
