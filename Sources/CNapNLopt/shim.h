#ifndef CNAPNLOPT_SHIM_H
#define CNAPNLOPT_SHIM_H
#include <nlopt.h>
#endif
