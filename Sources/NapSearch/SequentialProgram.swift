internal import CNapNLopt

/// A smooth function that is to be as small as possible between bounds, while another is not positive.
///
/// Solved by sequential least-squares quadratic programming, as NLopt has it.
///
/// - Source: Kraft 1994.
struct SequentialProgram {
  /// The value at a point, and the gradient there.
  typealias Function = ([Double]) -> (value: Double, gradient: [Double])

  var objective: Function
  var constraint: Function
  var bounds: [ClosedRange<Double>]

  /// The point that is reached from another one.
  ///
  /// - Returns: `nil` where the solver gives none.
  func solution(from start: [Double]) -> [Double]? {
    guard !start.isEmpty, let solver = nlopt_create(NLOPT_LD_SLSQP, UInt32(start.count)) else {
      return start.isEmpty ? [] : nil
    }
    defer { nlopt_destroy(solver) }
    nlopt_set_lower_bounds(solver, bounds.map(\.lowerBound))
    nlopt_set_upper_bounds(solver, bounds.map(\.upperBound))
    let functions = [objective, constraint].map(Callback.init)
    return withExtendedLifetime(functions) {
      let pointers = functions.map { Unmanaged.passUnretained($0).toOpaque() }
      nlopt_set_min_objective(solver, Callback.call, pointers[0])
      nlopt_add_inequality_constraint(solver, Callback.call, pointers[1], Self.tolerance)
      nlopt_set_ftol_rel(solver, Self.tolerance)
      nlopt_set_xtol_rel(solver, Self.tolerance)
      nlopt_set_maxeval(solver, Self.evaluations)
      var (point, value) = (start, 0.0)
      let result = nlopt_optimize(solver, &point, &value)
      // Where rounding stops it, it is as near as it can be.
      let isUsable = result.rawValue > 0 || result == NLOPT_ROUNDOFF_LIMITED
      return isUsable && point.allSatisfy(\.isFinite) ? point : nil
    }
  }

  private static let tolerance = 1e-10
  private static let evaluations: Int32 = 2000

  private final class Callback {
    let function: Function
    init(_ function: @escaping Function) { self.function = function }

    static let call: nlopt_func = { count, point, gradient, context in
      guard let point, let context else { return .nan }
      let callback = Unmanaged<Callback>.fromOpaque(context).takeUnretainedValue()
      let result = callback.function(
        Array(UnsafeBufferPointer(start: point, count: Int(count))))
      if let gradient {
        for (index, slope) in result.gradient.enumerated() { gradient[index] = slope }
      }
      return result.value
    }
  }
}
