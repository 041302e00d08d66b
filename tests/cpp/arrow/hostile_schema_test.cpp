// SPDX-License-Identifier: Apache-2.0
//
// Schemas that no table has: without an end, or claiming more than there is.
#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "quarrow/arrow/layer_table.h"

namespace quarrow {
namespace {

// Schemas that live as long as a test; a deque, so that none ever moves.
class Schemas {
 public:
  ArrowSchema& add(const char* name, const char* format) {
    ArrowSchema& made = schemas_.emplace_back();
    made.release = [](ArrowSchema*) {};
    made.name = name;
    made.format = format;
    return made;
  }

  void set_children(ArrowSchema& parent, const std::vector<ArrowSchema*>& children) {
    std::vector<ArrowSchema*>& kept = pointers_.emplace_back(children);
    parent.n_children = static_cast<std::int64_t>(kept.size());
    parent.children = kept.data();
  }

  // Names, lists of floats, and one more column.
  const ArrowSchema& table(ArrowSchema& another) {
    ArrowSchema& weights = add("weights", "+l");
    set_children(weights, {&add("item", "f")});
    ArrowSchema& whole = add("", "+s");
    set_children(whole, {&add("layer_name", "u"), &weights, &another});
    return whole;
  }

  // So many lists in each other, or dictionaries of each other.
  ArrowSchema& nested(int levels, bool dictionaries) {
    ArrowSchema* inner = &add("item", "f");
    for (int level = 1; level < levels; ++level) {
      ArrowSchema& outer = add("more", dictionaries ? "i" : "+l");
      if (dictionaries) {
        outer.dictionary = inner;
      } else {
        set_children(outer, {inner});
      }
      inner = &outer;
    }
    return *inner;
  }

 private:
  std::deque<ArrowSchema> schemas_;
  std::deque<std::vector<ArrowSchema*>> pointers_;
};

void expect_too_deep(const ArrowSchema& schema) {
  try {
    const LayerTable table(schema, {});
    ADD_FAILURE() << "accepted";
  } catch (const ArrowFault& fault) {
    EXPECT_EQ(fault.rule, ArrowRule::kTooDeep);
  }
}

TEST(HostileSchema, IsReadToItsDepthAndNoFurther) {
  for (const bool dictionaries : {false, true}) {
    Schemas schemas;
    const LayerTable table(schemas.table(schemas.nested(kMaxSchemaDepth - 1, dictionaries)), {});
    expect_too_deep(schemas.table(schemas.nested(kMaxSchemaDepth, dictionaries)));
    expect_too_deep(schemas.table(schemas.nested(200'000, dictionaries)));
    expect_too_deep(schemas.nested(200'000, dictionaries));
  }
}

TEST(HostileSchema, MayContainItself) {
  Schemas schemas;
  ArrowSchema& alone = schemas.add("more", "+s");
  schemas.set_children(alone, {&alone});
  expect_too_deep(schemas.table(alone));
  // So that a walk to the greatest depth would never end.
  ArrowSchema& many = schemas.add("more", "+s");
  schemas.set_children(many, {&many, &many, &many});
  many.dictionary = &many;
  expect_too_deep(schemas.table(many));
}

TEST(HostileSchema, MayDoubleOnEachLevel) {
  Schemas schemas;
  ArrowSchema* inner = &schemas.add("item", "f");
  for (int level = 0; level < 40; ++level) {
    ArrowSchema& outer = schemas.add("more", "+s");
    schemas.set_children(outer, {inner, inner});
    inner = &outer;
  }
  expect_too_deep(schemas.table(*inner));
}

TEST(HostileSchema, MayClaimMoreFieldsThanItHas) {
  for (const std::int64_t claimed : {kMaxSchemaFields + 1, INT64_MAX}) {
    Schemas schemas;
    ArrowSchema& more = schemas.add("more", "+s");
    schemas.set_children(more, {&schemas.add("item", "f")});
    more.n_children = claimed;
    expect_too_deep(schemas.table(more));
  }
}

TEST(HostileSchema, TypeTextsOfWhatIsReadEnd) {
  Schemas schemas;
  EXPECT_EQ(arrow_type_text(schemas.nested(3, true)), "dictionary<dictionary<float32>>");
  EXPECT_EQ(arrow_type_text(schemas.nested(3, false)), "list<list<float32>>");
}

}  // namespace
}  // namespace quarrow
