import Foundation

/// A long piece of work that runs on a thread of its own.
///
///     let work = pruning.start(network)
///     for await event in work.progress { print(event.stage, event.step, event.steps) }
///     let (smaller, report) = try await work.value
///
/// Cancelling it, or the task that waits for its value, stops the work at the next step.
public struct Work<Success: Sendable>: Sendable {
  /// What the work tells on its way; ends with it. Of events that nobody has taken yet, the newest thousand
  /// are kept.
  public let progress: AsyncStream<WorkProgress>
  private let state: State

  /// - Parameter body: calls what it is given at every step, which throws when the work is to stop.
  init(_ body: @escaping @Sendable (@escaping ProgressHandler) throws -> Success) {
    let (stream, continuation) = AsyncStream.makeStream(
      of: WorkProgress.self, bufferingPolicy: .bufferingNewest(1000))
    let state = State()
    (progress, self.state) = (stream, state)
    let thread = Thread {
      let result = Result {
        try body { event in
          continuation.yield(event)
          if state.isCancelled { throw CancellationError() }
        }
      }
      continuation.finish()
      state.finish(result)
    }
    // As much as the first thread of a program has.
    thread.stackSize = 8 << 20
    thread.start()
  }

  /// The result.
  ///
  /// - Throws: what the work throws; `WorkStopped` around a `CancellationError` where it was cancelled after
  ///   there was something to keep, else the `CancellationError` itself.
  public var value: Success {
    get async throws {
      try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { state.wait($0) }
      } onCancel: {
        state.cancel()
      }
    }
  }

  /// Stops the work at its next step.
  public func cancel() { state.cancel() }

  // All state is guarded by `lock`.
  private final class State: @unchecked Sendable {
    private let lock = NSLock()
    private var cancelled = false
    private var result: Result<Success, any Error>?
    private var waiting: [CheckedContinuation<Success, any Error>] = []

    var isCancelled: Bool { lock.withLock { cancelled } }
    func cancel() { lock.withLock { cancelled = true } }

    func finish(_ result: Result<Success, any Error>) {
      let waiting = lock.withLock {
        self.result = result
        defer { self.waiting = [] }
        return self.waiting
      }
      for continuation in waiting { continuation.resume(with: result) }
    }

    func wait(_ continuation: CheckedContinuation<Success, any Error>) {
      let result = lock.withLock { () -> Result<Success, any Error>? in
        if self.result == nil { waiting.append(continuation) }
        return self.result
      }
      if let result { continuation.resume(with: result) }
    }
  }
}

/// A run directory that one thread uses at a time.
private struct Handed: @unchecked Sendable {
  let directory: RunDirectory?
}

extension Pruning {
  /// `run(_:in:progress:)` on a thread of its own.
  public func start(_ network: Network, in directory: RunDirectory? = nil) -> Work<
    (network: Network, report: PruningReport)
  > {
    let handed = Handed(directory: directory)
    return Work { try run(network, in: handed.directory, progress: $0) }
  }

  /// `run(_:in:progress:)` for tasks; cancelling the task stops at the next step.
  public func run(_ network: Network, in directory: RunDirectory? = nil) async throws -> (
    network: Network, report: PruningReport
  ) {
    try await start(network, in: directory).value
  }
}

extension Training {
  /// `run(_:in:progress:)` on a thread of its own.
  public func start(_ network: Network, in directory: RunDirectory? = nil) -> Work<
    (network: Network, report: TrainingReport)
  > {
    let handed = Handed(directory: directory)
    return Work { try run(network, in: handed.directory, progress: $0) }
  }

  /// `run(_:in:progress:)` for tasks; cancelling the task stops at the next step.
  public func run(_ network: Network, in directory: RunDirectory? = nil) async throws -> (
    network: Network, report: TrainingReport
  ) {
    try await start(network, in: directory).value
  }
}

extension Evaluation {
  /// `run(_:progress:)` on a thread of its own.
  public func start(_ network: Network) -> Work<EvaluationReport> {
    Work { try run(network, progress: $0) }
  }

  /// `run(_:progress:)` for tasks; cancelling the task stops at the next step.
  public func run(_ network: Network) async throws -> EvaluationReport {
    try await start(network).value
  }
}
