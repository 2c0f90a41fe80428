import ArgumentParser
@main struct Nap: ParsableCommand { }
