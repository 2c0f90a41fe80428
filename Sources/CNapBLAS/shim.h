#ifndef CNAPBLAS_SHIM_H
#define CNAPBLAS_SHIM_H
#include <cblas.h>
// LAPACKE's headers pull in <complex.h>, whose types Swift cannot import; nap uses real numbers
// only, so the routines it calls are declared here with their published signatures.
#define NAP_ROW_MAJOR 101
int LAPACKE_spotrf(int layout, char uplo, int n, float *a, int lda);
int LAPACKE_spotri(int layout, char uplo, int n, float *a, int lda);
int LAPACKE_dpotrf(int layout, char uplo, int n, double *a, int lda);
int LAPACKE_dpotri(int layout, char uplo, int n, double *a, int lda);
int LAPACKE_dpotrs(int layout, char uplo, int n, int nrhs, const double *a, int lda, double *b, int ldb);
#endif
