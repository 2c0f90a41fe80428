#ifndef CNAPBLAS_SHIM_H
#define CNAPBLAS_SHIM_H
#include <cblas.h>
#include <stddef.h>
// OpenBLAS has LAPACK's routines, by their Fortran names; its header pulls in <complex.h>, whose types Swift
// cannot import. The last argument is the length of the first.
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info, size_t length);
void dpotri_(const char *uplo, const int *n, double *a, const int *lda, int *info, size_t length);
#endif
