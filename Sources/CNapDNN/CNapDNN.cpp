#include "CNapDNN.h"
