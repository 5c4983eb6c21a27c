// Arrays with one entry for each member of an enum whose last member is `count`.
#pragma once
#include <array>
#include <cstddef>

namespace spikewise {

template <class Enum>
constexpr std::size_t kCountOf = static_cast<std::size_t>(Enum::count);

template <class Enum, class Value>
struct ByEnum {
  std::array<Value, kCountOf<Enum>> values;

  constexpr Value& operator[](Enum e) { return values[static_cast<std::size_t>(e)]; }
  constexpr const Value& operator[](Enum e) const { return values[static_cast<std::size_t>(e)]; }
  static constexpr ByEnum all(const Value& value) {
    ByEnum out;
    out.values.fill(value);
    return out;
  }
};

template <class Enum>
constexpr std::array<Enum, kCountOf<Enum>> every() {
  std::array<Enum, kCountOf<Enum>> out{};
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<Enum>(i);
  return out;
}

}  // namespace spikewise
