/// Work that had to stop half-way, with the network as it last was in order.
public struct WorkStopped: Error, CustomStringConvertible {
  public package(set) var lastGood: Network
  /// What training threw, reading the data, or the progress handler of whoever wants to stop.
  public let reason: any Error

  public var description: String { "\(reason)" }

  /// - Parameter error: what stopped the work; of work that has been stopped inside it, why that was.
  init(lastGood: Network, by error: any Error) {
    self.lastGood = lastGood
    reason = (error as? WorkStopped)?.reason ?? error
  }

  /// Does something that hands on a network if it has to stop.
  static func keeping<Result>(_ lastGood: () -> Network, _ body: () throws -> Result) throws
    -> Result
  {
    do {
      return try body()
    } catch {
      throw WorkStopped(lastGood: lastGood(), by: error)
    }
  }
}
