import Foundation

/// The number in a variable of the environment, for whoever wants more of a test than everybody runs.
package func setting(_ variable: String, otherwise number: Int) -> Int {
  ProcessInfo.processInfo.environment[variable].flatMap { Int($0) } ?? number
}
