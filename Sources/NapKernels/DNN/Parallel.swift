internal import CNapDNN

/// Runs `body(part, parts)` on every thread of the kernels' pool and waits for all.
package func parallel(_ body: (_ part: Int, _ parts: Int) -> Void) {
  withoutActuallyEscaping(body) { body in
    var context: (Int, Int) -> Void = body
    withUnsafeMutablePointer(to: &context) { pointer in
      nap_parallel(
        { context, part, parts in
          let body = context.unsafelyUnwrapped.assumingMemoryBound(to: ((Int, Int) -> Void).self)
          body.pointee(Int(part), Int(parts))
        }, pointer)
    }
  }
}

/// `parallel` for bodies that call BLAS or LAPACK, every call by one thread: their own would come on
/// top.
package func parallelLinearAlgebra(_ body: (_ part: Int, _ parts: Int) -> Void) {
  let threads = setLinearAlgebraThreads(1)
  defer { setLinearAlgebraThreads(threads) }
  parallel(body)
}
